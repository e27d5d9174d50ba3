'use strict';
// What a plugin asks of the platform, over the broker's socket. Standard library only.

const { BROKER } = require('./forwarding.js');

const MAX_VALUE_BYTES = 1 << 20;

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

/** The answer's bytes, or null for what is not there. */
function ask(method, path, body = '') {
  const http = require('node:http');
  const headers = { host: 'broker', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: BROKER, agent: false, method, path, headers });
    request.on('error', reject);
    request.on('response', (answer) => {
      const parts = [];
      answer.on('error', reject);
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => {
        const data = Buffer.concat(parts);
        const code = codeOf(answer.statusCode);
        if (code !== null) reject(new Refused(code, data.toString()));
        else resolve(answer.statusCode === 404 ? null : data);
      });
    });
    request.end(body);
  });
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

module.exports = { Refused, call, publish, storage };
