import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Plugin } from 'heimnetz-sdk/testing';
import { KEY, MAX_ITEMS, routesOf } from '../plugin.js';

let plugin;
beforeEach(() => {
  plugin = new Plugin();
});

/** Status and document of an answer. */
async function ask(method, path, body = '', headers = {}) {
  const answer = await plugin.ask(method, path, { body, headers });
  return [answer.status, answer.body.length ? answer.json() : null];
}

const put = async (wish) => (await ask('POST', '/items', wish))[1];

test('the manifest names every route with its types and no other', () => {
  const mine = routesOf(null).map(({ method, path, takes = {}, answers = {} }) => [method, path, takes, answers]);
  const named = plugin.manifest.endpoints.map(({ method, path, input, output }) => [method, path, input, output]);

  assert.deepEqual(named, mine);
});

test('every endpoint of the manifest answers', async () => {
  const milk = await put({ name: 'milk' });

  for (const { method, path } of plugin.manifest.endpoints) {
    const body = method === 'POST' ? { name: 'tea' } : {};
    const [status] = await ask(method, path.replace('{id}', milk.id), body);
    assert.ok([200, 201, 204].includes(status), `${method} ${path}: ${status}`);
  }
});

test('what is put on the list is there with one of it unless said', async () => {
  const [status, tea] = await ask('POST', '/items', { name: 'tea', amount: 3 });
  const milk = await put({ name: 'milk' });

  assert.deepEqual([status, tea.amount, milk.amount], [201, 3, 1]);
  assert.deepEqual(await ask('GET', '/items'), [200, { items: [milk, tea] }]);
  assert.deepEqual(await ask('GET', `/items/${tea.id}`), [200, tea]);
});

test('what is bought goes to the end and keeps the rest', async () => {
  const [milk, tea] = [await put({ name: 'milk' }), await put({ name: 'tea' })];

  const [status, changed] = await ask('PATCH', `/items/${milk.id}`, { is_bought: true });

  assert.deepEqual([status, changed], [200, { ...milk, is_bought: true }]);
  assert.deepEqual((await ask('GET', '/items'))[1].items, [tea, changed]);
});

test('what is taken off is gone and cannot be taken off again', async () => {
  const milk = await put({ name: 'milk' });

  assert.deepEqual(await ask('DELETE', `/items/${milk.id}`), [204, null]);
  assert.equal((await ask('DELETE', `/items/${milk.id}`))[0], 404);
  assert.deepEqual(await ask('GET', '/items'), [200, { items: [] }]);
});

for (const path of ['/', '/item', '/items/', '/items/none', '/items/..', '/items/a/b']) {
  test(`${path} is not there`, async () => {
    const [status, answer] = await ask('GET', path);

    assert.equal(status, 404);
    assert.ok('detail' in answer);
  });
}

test('another method is 405 and names those that work', async () => {
  const answer = await plugin.ask('PUT', '/items', { body: {} });

  assert.equal(answer.status, 405);
  assert.equal(answer.headers.allow, 'GET, POST');
});

for (const [wish, said] of [
  [{}, 'name is missing'],
  [[], 'send an object'],
  [null, 'send an object'],
  [{ name: '' }, 'minLength 1'],
  [{ name: 'x'.repeat(81) }, 'maxLength 80'],
  [{ name: 7 }, 'of type string'],
  [{ name: 'x', amount: 0 }, 'minimum 1'],
  [{ name: 'x', amount: 1000 }, 'maximum 999'],
  [{ name: 'x', amount: 1.5 }, 'of type integer'],
  [{ name: 'x', amount: true }, 'of type integer'],
  [{ name: 'x', amount: null }, 'of type integer'],
  [{ name: 'x', id: 'mine' }, '"id" is unknown'],
  [{ name: 'x', constructor: 'mine' }, '"constructor" is unknown'],
]) {
  test(`a wish such as ${JSON.stringify(wish).slice(0, 40)} is 422: ${said}`, async () => {
    const [status, answer] = await ask('POST', '/items', wish);

    assert.equal(status, 422);
    assert.ok(answer.detail.includes(said), answer.detail);
    assert.equal(plugin.storage.items.size, 0);
  });
}

for (const body of ['', '{', Buffer.from([0xff]), 'NaN', '['.repeat(16_000), '9'.repeat(10_000)]) {
  test(`${String(body).slice(0, 5)} is no wish`, async () => {
    assert.equal((await ask('POST', '/items', body, { 'Content-Type': 'application/json' }))[0], 422);
  });
}

test('a body that is too large is 413', async () => {
  assert.equal((await ask('POST', '/items', { name: 'x'.repeat(20_000) }))[0], 413);
});

test('a form of another site changes nothing', async () => {
  const [status] = await ask('POST', '/items', '{"name": "x"}', { 'Content-Type': 'text/plain' });

  assert.equal(status, 415);
  assert.equal(plugin.storage.items.size, 0);
});

test('a full list is 507 and keeps what is on it', async () => {
  const full = Array.from({ length: MAX_ITEMS }, (_, id) => ({ id: `${id}`, name: 'x', amount: 1, is_bought: false }));
  plugin.storage.items.set(KEY, Buffer.from(JSON.stringify(full)));

  assert.equal((await ask('POST', '/items', { name: 'one too many' }))[0], 507);
  assert.equal((await ask('GET', '/items'))[1].items.length, MAX_ITEMS);
});

test('the list as long as it may be fits into the storage it asks for', () => {
  const longest = { id: 'f'.repeat(16), name: '\ud800'.repeat(80), amount: 999, is_bought: false };
  const stored = KEY.length + Buffer.byteLength(JSON.stringify(Array(MAX_ITEMS).fill(longest)));

  const [room] = plugin.manifest.grants;
  assert.ok(stored <= Number(room.split(':')[1]));
});
