import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Plugin } from 'heimnetz-sdk/testing';

const ROUTER = '192.168.1.1';

let plugin;
beforeEach(() => {
  plugin = new Plugin();
});

/** Checks the router, which answers as said. */
function check(answer) {
  plugin.network.answer('GET', `http://${ROUTER}/`, answer);
  return plugin.run({}, { config: { devices: [ROUTER] } });
}

const rules = (run) => run.result.findings.map((one) => [one.rule, one.severity]);

test('a password asked for over http is a grave finding', async () => {
  const run = await check({ status: 401, headers: { 'WWW-Authenticate': 'Basic realm="router"' } });

  assert.deepEqual(rules(run), [['password-in-clear', 'high']]);
  assert.equal(run.result.worst, 'high');
  run.assertPermissionsFit();
});

test('so is a form for a password', async () => {
  const run = await check({ body: "<form><INPUT name=p type='password'></form>" });

  assert.deepEqual(rules(run), [['password-in-clear', 'high']]);
});

test('a version of the server is a small finding', async () => {
  const run = await check({ headers: { Server: 'lighttpd/1.4.35' } });

  assert.deepEqual(rules(run), [['version-shown', 'low']]);
  assert.match(run.result.findings[0].message, /lighttpd\/1\.4\.35/);
});

test('a device that leads to https is fine and not followed', async () => {
  const run = await check({ status: 302, headers: { Location: `https://${ROUTER}/` } });

  assert.deepEqual(run.result, { findings: [], worst: null, checked: 1, not_reached: [] });
  assert.equal(plugin.network.requests.length, 1);
  assert.deepEqual(run.refused, []);
});

test('what a device sends is shown cut and escaped', async () => {
  const run = await check({ headers: { Server: `x/1.0 \x1b[31m${'\xe9'.repeat(5_000)}` } });

  const [finding] = run.result.findings;
  assert.match(finding.message, /^[\x20-\x7e]*$/);
  assert.ok(finding.message.length < 600);
});

test('a huge page is read in part', async () => {
  const run = await check({ body: `${'x'.repeat(200_000)}<input type=password>` });

  assert.deepEqual(rules(run), []);
});

test('a device that is off is named and the others are checked', async () => {
  plugin.network.fail('192.168.1.9:80');
  plugin.network.answer('GET', `http://${ROUTER}/`, { headers: { Server: 'x/2.0' } });

  const run = await plugin.run({}, { config: { devices: ['192.168.1.9', ROUTER] } });

  assert.deepEqual(run.result.not_reached, ['192.168.1.9']);
  assert.equal(run.result.checked, 1);
  assert.deepEqual(rules(run), [['version-shown', 'low']]);
});

test('the worst finding comes first', async () => {
  plugin.network.answer('GET', 'http://192.168.1.2/', { headers: { Server: 'x/2.0' } });
  plugin.network.answer('GET', 'http://192.168.1.3/', { status: 401 });

  const run = await plugin.run({}, { config: { devices: ['192.168.1.2', '192.168.1.3'] } });

  assert.deepEqual(run.result.findings.map((one) => one.severity), ['high', 'low']);
});

for (const device of ['router.local', '192.168.1.1/admin', 'x@192.168.1.1']) {
  test(`${device} is no address, and nothing is asked`, async () => {
    await assert.rejects(plugin.run({}, { config: { devices: [device] } }), /by its address/);

    assert.deepEqual(plugin.network.requests, []);
  });
}

test('a public address is refused by the platform and counts as not reached', async () => {
  const run = await plugin.run({}, { config: { devices: ['8.8.8.8'] } });

  assert.deepEqual(run.result.not_reached, ['8.8.8.8']);
  assert.deepEqual(run.refused, ['network:8.8.8.8:80']);
});

test('without devices nothing is asked', async () => {
  const run = await plugin.run();

  assert.equal(run.result.checked, 0);
  assert.deepEqual(plugin.network.requests, []);
});
