import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Plugin } from 'heimnetz-sdk/testing';

const PROJECT = path.join(path.dirname(fileURLToPath(import.meta.url)), 'asks-for-much');
process.env.HEIMNETZ_MANIFEST = path.join(PROJECT, 'manifest.json');
process.chdir(PROJECT);

let plugin;
beforeEach(() => {
  plugin = new Plugin();
});

function run(act, options) {
  globalThis.act = act;
  return plugin.run({}, options);
}

const coded = (code) => (error) => error.code === code || error.cause?.code === code;

for (const [url, isFree] of [
  ['https://api.example.org/x', true],
  ['http://api.example.org/x', false],
  ['https://other.example.org/x', false],
  ['https://api.example.org.evil.example/x', false],
  ['https://a.b.example.com/', true],
  ['https://example.com/', false],
  ['http://192.168.7.9/', true],
  ['http://192.168.8.9/', false],
  ['http://[fd00::7]/', true],
  ['http://[fd01::7]/', false],
  ['http://10.1.2.3:8080/', true],
  ['http://8.8.8.8:8080/', false],
]) {
  test(`${url} is ${isFree ? 'granted' : 'refused'} for both ways out`, async () => {
    plugin.network.answer('GET', url, { body: 'hello' });

    for (const ask of [async () => (await fetch(url)).text(), async (context) => (await context.fetch(url)).text]) {
      if (isFree) assert.equal((await run(ask)).result, 'hello');
      else await assert.rejects(run(ask), coded('EACCES'));
    }
  });
}

test('nothing but fetch leaves the process', async () => {
  const ask = () => new Promise((resolve, reject) => {
    http.get('http://192.168.7.9/', resolve).on('error', reject);
  });

  await assert.rejects(run(ask), coded('EACCES'));
});

test('a redirect is followed by fetch, judged again, and not followed by the context', async () => {
  const [from, to] = ['https://api.example.org/a', 'https://elsewhere.example/b'];
  plugin.network.answer('GET', from, { status: 302, headers: { Location: to } });

  await assert.rejects(run(() => fetch(from)), coded('EACCES'));
  assert.equal((await run(async (context) => (await context.fetch(from)).status)).result, 302);
});

test('a secret with a host is a placeholder that this host alone gets filled', async () => {
  const [mine, other] = ['https://api.example.org/?key=', 'https://a.example.com/?key='];
  const basic = (token) => `Basic ${Buffer.from(`me:${token}`).toString('base64')}`;
  let seen;
  plugin.network.answer('GET', `${mine}s%20s`, {});

  await run(async (context) => {
    seen = context.config.token;
    await context.fetch(mine + seen, { headers: { Authorization: basic(seen) } });
  }, { config: { token: 's s' } });
  plugin.network.answer('GET', `${other}${seen.replace(/\d+$/, '1')}`, {});
  await run((context) => context.fetch(other + context.config.token).then(() => null), { config: { token: 's s' } });

  assert.notEqual(seen, 's s');
  assert.equal(plugin.network.requests[0].headers.authorization, basic('s s'));
  assert.doesNotMatch(plugin.network.requests[1].url, /s%20s/);
});

test('storage has the room that was granted, and keys as the platform has them', async () => {
  const put = (key, size) => (context) => context.storage.put(key, 'x'.repeat(size));

  await run(put('a', 1023));
  await assert.rejects(run(put('b', 1)), coded('ENOSPC'));
  await assert.rejects(run(put('a', (1 << 20) + 1)), coded('EINVAL'));
  for (const key of ['', '../x', 'a b', 'x'.repeat(201)]) await assert.rejects(run(put(key, 0)), coded('EINVAL'));
  await assert.rejects(run(put('a', 1), { grants: [] }), coded('EACCES'));
  const all = await run(async ({ storage }) => [await storage.keys(), String(await storage.get('a')).length, await storage.get('b')]);
  assert.deepEqual(all.result, [['a'], 1023, null]);
});

test('events and calls need their grants, and are bounded', async () => {
  const publish = (data, event = 'something.happened.v1') => (context) => context.publish(event, data);
  plugin.answerCall('other', { total: 3 });

  assert.deepEqual((await run(publish({ a: 1 }))).events, [['something.happened.v1', { a: 1 }]]);
  await assert.rejects(run(publish({ a: 'x'.repeat(70_000) })), coded('EINVAL'));
  await assert.rejects(run(publish({}, 'other.thing.v1')), coded('EACCES'));
  const often = async (context) => {
    for (let count = 0; count <= 100; count += 1) await publish({})(context);
  };
  await assert.rejects(run(often), coded('EAGAIN'));
  assert.deepEqual((await run((context) => context.call('other'))).result, { total: 3 });
  await assert.rejects(run((context) => context.call('third')), coded('EACCES'));
});

test('what was granted and not used, and what was tried without a grant, is told', async () => {
  const nothing = await run(() => null);
  const tried = await run(async () => {
    await fetch('https://evil.example/').catch(() => {});
    return null;
  }, { grants: [] });

  assert.throws(() => nothing.assertPermissionsFit(), /granted and not used: call:other/);
  assert.throws(() => tried.assertPermissionsFit(), /tried without a grant: network:evil.example:443/);
});

test('a request that the test does not answer fails the run', async () => {
  await assert.rejects(run(() => fetch('https://api.example.org/').then(() => null)), /gives no answer/);
});

test('there is one run at a time, and one that failed is over', async () => {
  const first = run(() => new Promise((resolve) => setImmediate(() => resolve('first'))));
  await assert.rejects(new Plugin().run(), /one run at a time/);

  assert.equal((await first).result, 'first');
  await assert.rejects(run(() => { throw new Error('no'); }), /no/);
  assert.equal((await run(() => 'last')).result, 'last');
});

test('a result that is no json or too large is refused', async () => {
  for (const result of [NaN, { a: () => 1 }, 'x'.repeat(1100)]) await assert.rejects(run(() => result), assert.AssertionError);
  assert.equal((await run(() => undefined)).result, null);
});

test('configuration has the defaults of the schema and no other keys', async () => {
  assert.equal((await run((context) => context.config.word)).result, 'hello');
  await assert.rejects(run(() => null, { config: { strange: 1 } }), /strange/);
});

test('files go in read-only, and what is written to out comes back', async () => {
  const { files } = await run((context) => {
    fs.copyFileSync(context.files['a.txt'], `${context.out}/b.txt`);
  }, { files: { 'a.txt': 'hello' } });

  assert.equal(String(files['b.txt']), 'hello');
});

test('the context has what the platform gives and no more', async () => {
  const { result } = await run((context) => [Object.keys(context).sort(), Object.keys(Object.getPrototypeOf(context)).length]);

  assert.deepEqual(result, [['call', 'config', 'fetch', 'files', 'log', 'out', 'publish', 'run_id', 'storage', 'trace_id'], 0]);
});

test('a service is asked, one request at a time, and called by nothing else', async () => {
  plugin.manifest.is_service = true;
  globalThis.act = (context) => context.serve(({ method, path, query, headers, body }) => {
    if (path === '/fails') throw new Error('no');
    return { method, path, query, kind: headers['content-type'], got: String(body) };
  });

  const answer = await plugin.ask('post', '/a/b?c=1&c=2', { body: { d: 3 } });

  assert.deepEqual(answer.json(), { method: 'POST', path: '/a/b', query: { c: ['1', '2'] }, kind: 'application/json', got: '{"d":3}' });
  await assert.rejects(plugin.ask('GET', '/fails'), /no/);
  await assert.rejects(plugin.run(), /plugin\.ask/);
  globalThis.act = () => null;
  await assert.rejects(plugin.ask('GET', '/'), /serves nothing/);
});

test('a clock that was set stands still for the plugin alone', async () => {
  plugin.clock.set('2026-03-29T12:00:00Z');
  const told = await run(() => [Date.now(), new Date().toISOString(), new Date(0).getTime(), new Date() instanceof Date]);

  assert.deepEqual(told.result, [1774785600000, '2026-03-29T12:00:00.000Z', 0, true]);
  assert.notEqual(Date.now(), 1774785600000);
  assert.throws(() => plugin.clock.set('never'), RangeError);
});

for (const [where, act] of [
  ['the log', (context) => context.log(`with ${context.config.word}`)],
  ['the result', (context) => ({ word: context.config.word })],
  ['the file b.txt', (context) => fs.writeFileSync(`${context.out}/b.txt`, context.config.word)],
]) {
  test(`a secret that stands in ${where} is told`, async () => {
    plugin.manifest.configuration.secrets = ['/word'];
    const shown = await run(act, { config: { word: 's3cret' } });
    const hidden = await run(() => 'fine', { config: { word: 's3cret' } });

    hidden.assertNoSecretShown();
    assert.throws(() => shown.assertNoSecretShown(), new RegExp(`the secret /word is shown in ${where}`));
  });
}
