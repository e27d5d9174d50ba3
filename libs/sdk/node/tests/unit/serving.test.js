import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Response } from 'heimnetz-sdk';
import { createServer } from 'heimnetz-sdk/serving';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'heimnetz-'));
const SOCKET = path.join(folder, 'http.sock');

/** What the tests' plugin does with a request is the path's last word. */
const answers = {
  json: ({ method, query, body }) => ({ method, query, body: body.toString() }),
  html: () => '<p>hello',
  bytes: () => Buffer.from([0, 255]),
  nothing: () => null,
  empty: () => new Response('', { status: 204 }),
  own: () => new Response('moved', { status: 302, headers: { Location: '/x', 'Set-Cookie': ['a=1', 'b=2'] } }),
  throws: () => {
    throw new Error('no');
  },
  splits: () => new Response('x', { headers: { bad: 'a\r\nb: c' } }),
  strange: () => () => 1,
};
const server = createServer((request) => answers[request.path.slice(1)](request));

function ask(word, { method = 'GET', body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: SOCKET, path: `/${word}`, method, agent: false }, async (answer) => {
      const parts = await answer.toArray().catch(reject);
      resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) });
    });
    request.on('error', reject).end(body);
  });
}

describe('a service', () => {
  before(() => {
    console.error = () => {};
    return new Promise((resolve) => server.listen(SOCKET, resolve));
  });
  after(() => {
    server.close();
    fs.rmSync(folder, { recursive: true });
  });

  for (const [word, status, kind, body] of [
    ['html', 200, 'text/html; charset=utf-8', '<p>hello'],
    ['bytes', 200, 'application/octet-stream', '\0\xff'],
    ['nothing', 200, 'application/json', 'null'],
    ['empty', 204, 'text/html; charset=utf-8', ''],
    ['own', 302, 'text/html; charset=utf-8', 'moved'],
    ['throws', 500, 'text/html; charset=utf-8', 'the plugin failed; its log says how\n'],
    ['splits', 500, 'text/html; charset=utf-8', 'the plugin failed; its log says how\n'],
    ['strange', 500, 'text/html; charset=utf-8', 'the plugin failed; its log says how\n'],
  ]) {
    test(`${word} is answered with ${status}`, async () => {
      const answer = await ask(word);

      assert.deepEqual([answer.status, answer.headers['content-type'], answer.body.toString('latin1')], [status, kind, body]);
    });
  }

  test('method, query and body come as they were sent', async () => {
    const answer = await ask('json?a=1&a=2&b=', { method: 'POST', body: 'hello' });

    assert.deepEqual(JSON.parse(answer.body), { method: 'POST', query: { a: ['1', '2'], b: [''] }, body: 'hello' });
  });

  test('headers of its own go out, each cookie for itself', async () => {
    const { headers } = await ask('own');

    assert.deepEqual([headers.location, headers['set-cookie']], ['/x', ['a=1', 'b=2']]);
  });

  test('head has the length and no body', async () => {
    const answer = await ask('html', { method: 'HEAD' });

    assert.deepEqual([answer.status, answer.headers['content-length'], answer.body.length], [200, '8', 0]);
  });

  test('a body that is too large is 413, and the next request is answered', async () => {
    const answer = await ask('json', { method: 'POST', body: Buffer.alloc((8 << 20) + 1) }).catch((error) => error);

    assert.ok(answer.status === 413 || ['EPIPE', 'ECONNRESET'].includes(answer.code), String(answer));
    assert.equal((await ask('html')).status, 200);
  });

  test('an unknown method is 501', async () => {
    assert.equal((await ask('html', { method: 'PROPFIND' })).status, 501);
  });
});
