'use strict';
// What a plugin asks of the platform, over the broker's socket. Standard library only.

const { BROKER } = require('./forwarding.js');

const MAX_VALUE_BYTES = 1 << 20;
const MAX_ANSWER_BYTES = 16 << 20;
// What the broker says of a connection that it did not make; every other verdict is EACCES.
const VERDICTS = { malformed: 'EINVAL', unreachable: 'EAGAIN', capped: 'EAGAIN' };

/** `code`: EACCES without the grant, EINVAL for nonsense, ENOSPC without room, EAGAIN for later. */
class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.name = 'Refused';
    this.code = code;
  }
}

/** `outcome` is how the other plugin's run ended. */
class CallFailed extends Error {
  constructor(outcome, reason) {
    super(`${outcome}: ${reason}`);
    this.name = 'CallFailed';
    this.outcome = outcome;
  }
}

function codeOf(status) {
  if (status === 403) return 'EACCES';
  if ([400, 405, 413, 422].includes(status)) return 'EINVAL';
  if (status === 507) return 'ENOSPC';
  return status >= 500 || status === 429 ? 'EAGAIN' : null;
}

/** Of `fetch`; `headers` has its names in lower case. */
class Answer {
  constructor(status, headers, body) {
    Object.assign(this, { status, headers, body });
  }

  get text() {
    return this.body.toString();
  }

  json() {
    return JSON.parse(this.text);
  }
}

function exchange(method, path, headers, body, signal) {
  const http = require('node:http');
  return new Promise((resolve, reject) => {
    const options = { socketPath: BROKER, agent: false, method, path, headers, signal };
    const request = http.request(options);
    request.on('error', reject);
    request.on('response', (answer) => {
      const parts = [];
      let size = 0;
      answer.on('error', reject);
      answer.on('data', (part) => {
        parts.push(part);
        size += part.length;
        const text = `the answer has more than ${MAX_ANSWER_BYTES} bytes`;
        if (size > MAX_ANSWER_BYTES) answer.destroy(new Refused('EINVAL', text));
      });
      answer.on('end', () => {
        resolve(new Answer(answer.statusCode, answer.headers, Buffer.concat(parts)));
      });
    });
    request.end(body);
  });
}

/** The answer's bytes, or null for what is not there. */
async function ask(method, path, body = '') {
  const headers = { host: 'broker', 'content-length': Buffer.byteLength(body) };
  const answer = await exchange(method, path, headers, body);
  const code = codeOf(answer.status);
  if (code !== null) throw new Refused(code, answer.text);
  return answer.status === 404 ? null : answer.body;
}

/**
 * One HTTP request, of which the broker makes the connection, TLS included; so it can put in the
 * secrets that the plugin has a placeholder for. A redirect is answered, not followed.
 */
async function fetch(url, { method = 'GET', headers = {}, body = '', timeout = 30 } = {}) {
  const { host, href, hash } = new URL(url);
  const given = { ...headers, host };
  if (body.length) given['content-length'] = Buffer.byteLength(body);
  const path = href.slice(0, href.length - hash.length);
  const signal = AbortSignal.timeout(timeout * 1000);
  const answer = await exchange(method, path, given, body, signal);
  const verdict = answer.headers['heimnetz-broker'];
  if (verdict !== undefined) throw new Refused(VERDICTS[verdict] ?? 'EACCES', answer.text);
  return answer;
}

const storage = {
  get: (key) => ask('GET', `/storage/${encodeURIComponent(key)}`),
  put: async (key, value) => {
    const data = typeof value === 'string' ? Buffer.from(value) : value;
    if (data.length > MAX_VALUE_BYTES) {
      throw new Refused('EINVAL', `a value has at most ${MAX_VALUE_BYTES} bytes`);
    }
    await ask('PUT', `/storage/${encodeURIComponent(key)}`, data);
  },
  delete: async (key) => {
    await ask('DELETE', `/storage/${encodeURIComponent(key)}`);
  },
  keys: async (prefix = '') =>
    JSON.parse(await ask('GET', `/storage?prefix=${encodeURIComponent(prefix)}`)),
};

async function publish(event, data) {
  await ask('POST', `/events/${encodeURIComponent(event)}`, JSON.stringify(data));
}

/** The other plugin's result. */
async function call(plugin, input = {}) {
  const path = `/plugins/${encodeURIComponent(plugin)}/runs`;
  const run = JSON.parse(await ask('POST', path, JSON.stringify(input)));
  if (run.outcome !== 'ok') throw new CallFailed(run.outcome, run.reason);
  return run.result;
}

module.exports = { Refused, call, fetch, publish, storage };
