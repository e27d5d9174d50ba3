'use strict';
// A service's way in: the socket that the sandbox listens at for us, handed over once.

const HATCH = '/run/heimnetz/service.sock';

/**
 * A listening Unix socket that `server.listen` takes. Node itself offers no way to be given one but
 * between its own processes; the bindings below are what that is made of (SCM_RIGHTS, unix(7)).
 */
function takeListener() {
  const { Pipe, PipeConnectWrap, constants } = process.binding('pipe_wrap');
  return new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`no socket to serve at: ${what}`));
    const hatch = new Pipe(constants.IPC);
    const request = new PipeConnectWrap();
    hatch.pendingHandle = null;
    hatch.onread = () => {
      const listener = hatch.pendingHandle;
      hatch.close();
      if (listener) resolve(listener);
      else fail('it was handed over before');
    };
    request.oncomplete = (status) => (status ? fail(`status ${status}`) : hatch.readStart());
    const status = hatch.connect(request, HATCH);
    if (status) fail(`status ${status}`);
  });
}

/** What the context of a service has besides. */
async function serviceContext() {
  const [listener, { serve }] = await Promise.all([takeListener(), import('heimnetz-sdk/serving')]);
  return { listener, serve: (handle) => serve(listener, handle) };
}

module.exports = { serviceContext };
