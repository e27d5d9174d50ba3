'use strict';
// Loopback to the broker's socket, for programs that know a proxy by address and port only.
// Process 1 does this beside the runner. Standard library only.

const net = require('node:net');

const BROKER = '/run/heimnetz/broker.sock';
const PORT = 3128;
const URL_OF_PROXY = `http://127.0.0.1:${PORT}`;
const VARIABLES = {
  HTTP_PROXY: URL_OF_PROXY,
  HTTPS_PROXY: URL_OF_PROXY,
  http_proxy: URL_OF_PROXY,
  https_proxy: URL_OF_PROXY,
};

const open = new Set();

function start() {
  net.createServer({ allowHalfOpen: true }, serve).on('error', () => {}).listen(PORT, '127.0.0.1');
}

function serve(client) {
  const broker = net.connect({ path: BROKER, allowHalfOpen: true });
  for (const [near, far] of [[client, broker], [broker, client]]) {
    open.add(near);
    near.pipe(far);
    near.on('error', () => far.destroy());
    near.on('close', () => open.delete(near));
  }
}

/** Every connection is over, and its descriptor free. */
function cut() {
  for (const socket of open) socket.destroy();
}

module.exports = { BROKER, VARIABLES, cut, start };
