import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Plugin } from 'heimnetz-sdk/testing';

const ADDRESS =
  'https://api.open-meteo.com/v1/forecast' +
  '?latitude=53.55&longitude=9.99&hourly=temperature_2m&forecast_hours=24';
const PLACE = { latitude: 53.55, longitude: 9.99 };
const EVENT = 'weather.frost.changed.v1';

let plugin;
beforeEach(() => {
  plugin = new Plugin();
});

/** What the forecast answers from then on, one set of temperatures after the other. */
function sky(...days) {
  for (const temperatures of days) {
    plugin.network.answer('GET', ADDRESS, { json: { hourly: { temperature_2m: temperatures } } });
  }
}

test('frost is announced with the lowest temperature', async () => {
  sky([4, 1.5, 3]);

  const run = await plugin.run({}, { config: PLACE });

  assert.deepEqual(run.events, [[EVENT, { is_frost: true, lowest_celsius: 1.5 }]]);
  assert.deepEqual(run.result, { is_frost: true, lowest_celsius: 1.5, is_announced: true });
  run.assertPermissionsFit();
});

test('the same frost is announced once, and its end too', async () => {
  sky([-1], [-2], [8], [9]);

  const announced = [];
  for (let day = 0; day < 4; day += 1) {
    const run = await plugin.run({}, { config: PLACE });
    announced.push(run.events.map(([, data]) => data.is_frost));
  }

  assert.deepEqual(announced, [[true], [], [false], []]);
});

test('the limit is the owner\'s', async () => {
  sky([3]);

  const run = await plugin.run({}, { config: { ...PLACE, limit: 4 } });

  assert.equal(run.result.is_frost, true);
});

test('when nobody answers the run fails and nothing is announced', async () => {
  plugin.network.fail('api.open-meteo.com:443');

  await assert.rejects(plugin.run({}, { config: PLACE }), TypeError);

  assert.deepEqual(plugin.events, []);
  assert.equal(plugin.storage.items.size, 0);
});

for (const answer of [
  null,
  [],
  {},
  { hourly: [] },
  { hourly: { temperature_2m: [] } },
  { hourly: { temperature_2m: ['cold', null, true, 4000] } },
]) {
  test(`an answer such as ${JSON.stringify(answer)} is a failure and no frost`, async () => {
    plugin.network.answer('GET', ADDRESS, { json: answer });

    await assert.rejects(plugin.run({}, { config: PLACE }), /no temperatures/);

    assert.deepEqual(plugin.events, []);
  });
}

test('an endless answer is not read to its end', async () => {
  plugin.network.answer('GET', ADDRESS, { body: ' '.repeat(300_000) });

  await assert.rejects(plugin.run({}, { config: PLACE }), /far too long/);
});

test('neither an error nor a redirect is a forecast', async () => {
  plugin.network.answer('GET', ADDRESS, { status: 503 });
  plugin.network.answer('GET', ADDRESS, { status: 302, headers: { location: 'https://elsewhere.example/' } });

  await assert.rejects(plugin.run({}, { config: PLACE }), /answers 503/);
  await assert.rejects(plugin.run({}, { config: PLACE }), TypeError);

  assert.equal(plugin.network.requests.length, 2);
});

test('without the network grant it fails', async () => {
  await assert.rejects(plugin.run({}, { config: PLACE, grants: [] }), TypeError);
});
