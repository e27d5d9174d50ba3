// HTTP for a plugin of kind `service`: its handler is called for each request.

import http from 'node:http';

const MAX_BODY_BYTES = 8 << 20;
const IDLE_MS = 60_000;
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const HEADER = 'content-type';

/** `headers` has its names in lower case; `query` the values of each name in order. */
export class Request {
  constructor(method, target, headers, body) {
    const [, path, query] = /^([^?#]*)(?:\?([^#]*))?/.exec(target);
    Object.assign(this, { method, path, headers, body, query: Object.create(null) });
    for (const [name, value] of new URLSearchParams(query ?? '')) (this.query[name] ??= []).push(value);
  }

  json() {
    return JSON.parse(this.body.toString());
  }
}

/** `body` is bytes, text (as HTML), or anything else as JSON. */
export class Response {
  constructor(body = Buffer.alloc(0), { status = 200, headers = {} } = {}) {
    const [kind, data] = encode(body);
    const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
    this.status = status;
    this.headers = { [HEADER]: kind, ...Object.fromEntries(named) };
    this.body = data;
  }

  get text() {
    return this.body.toString();
  }

  json() {
    return JSON.parse(this.text);
  }
}

function encode(body) {
  if (typeof body === 'string') return ['text/html; charset=utf-8', Buffer.from(body)];
  if (body instanceof Uint8Array) return ['application/octet-stream', Buffer.from(body)];
  const text = JSON.stringify(body ?? null);
  if (text === undefined) throw new TypeError('what was answered is not JSON');
  return ['application/json', Buffer.from(text)];
}

export async function answer(handle, request) {
  const found = await handle(request);
  return found instanceof Response ? found : new Response(found);
}

/** Null where it is too much. */
async function read(asked) {
  const parts = [];
  let size = 0;
  for await (const part of asked) {
    size += part.length;
    if (size > MAX_BODY_BYTES) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function respond(handle, asked) {
  if (!METHODS.has(asked.method)) return new Response('there is no such method\n', { status: 501 });
  const body = await read(asked);
  if (body === null) {
    const text = `there is room for ${MAX_BODY_BYTES} bytes\n`;
    return new Response(text, { status: 413, headers: { connection: 'close' } });
  }
  return answer(handle, new Request(asked.method, asked.url, asked.headers, body));
}

function send(response, given) {
  const hasBody = response.status >= 200 && ![204, 304].includes(response.status);
  const length = hasBody ? { 'content-length': response.body.length } : {};
  given.writeHead(response.status, { ...response.headers, ...length });
  given.end(hasBody ? response.body : undefined);
}

export function createServer(handle) {
  const server = http.createServer(async (asked, given) => {
    asked.on('error', () => given.destroy());
    try {
      send(await respond(handle, asked), given);
    } catch (error) {
      // One request fails, not the service.
      if (asked.errored) return;
      console.error(error);
      if (given.headersSent) given.destroy();
      else send(new Response('the plugin failed; its log says how\n', { status: 500 }), given);
    }
  });
  server.keepAliveTimeout = IDLE_MS;
  return server;
}

/** Until the container ends. `listener` is whatever a server of Node listens at. */
export function serve(listener, handle) {
  return new Promise((_, reject) => {
    createServer(handle).once('error', reject).listen(listener);
  });
}
