'use strict';
// The process that the plugin's own code runs in: imports it, says that it is ready, makes one call,
// ends. Descriptor 3 brings `load` and `call`, 4 takes what is said.

const fs = require('node:fs');
const net = require('node:net');
const { pathToFileURL } = require('node:url');
const broker = require('./broker.js');
const { Frames, encode } = require('./framing.js');
const proxying = require('./proxying.js');
const seeing = require('./seeing.js');
const { serviceContext } = require('./serving.js');

const CALLS = 3;
const ANSWERS = 4;
const PLUGIN = '/plugin';
const ENDINGS = ['', '.js', '.mjs', '.cjs'];
const MAX_REASON_CHARACTERS = 2000;
const NO_ROOM = ['ENOSPC', 'EFBIG', 'EDQUOT'];
const leave = process.exit.bind(process);

let load = null;
let run = null;
let isCalled = false;

/** Blocks until the runner has it, so that nothing is lost when the process ends. */
function say(frame) {
  const data = encode(frame);
  for (let at = 0; at < data.length; ) at += fs.writeSync(ANSWERS, data, at);
}

function end() {
  // Exit hooks of the plugin must not hold the run up.
  process.removeAllListeners('exit');
  leave(0);
}

function fail(cause, reason) {
  say({ type: 'error', cause, reason: reason.slice(0, MAX_REASON_CHARACTERS) });
  end();
}

function report(error) {
  // While it waits it is asked for nothing; the runner sees it end, and another takes its place.
  if (run !== null && !isCalled) leave(1);
  let [cause, reason] = ['error', 'something was thrown that cannot be shown'];
  try {
    process.stderr.write(`${(error instanceof Error && error.stack) || String(error)}\n`);
    reason = error instanceof Error ? `${error.name}: ${error.message}` : `Error: ${String(error)}`;
    if (NO_ROOM.includes(error?.code)) cause = 'disk_limit';
    if (error instanceof RangeError && /allocation failed/.test(reason)) cause = 'out_of_memory';
  } catch {
    // Its own text is the plugin's code too.
  }
  fail(cause, reason);
}

/** The plugin's function. */
async function find() {
  const [path, name = 'default'] = load.entry_point.split(':');
  const file = ENDINGS.map((ending) => `${PLUGIN}/${path}${ending}`).find((one) => fs.existsSync(one));
  if (file === undefined) throw new Error(`the package has no ${path}`);
  const found = await import(pathToFileURL(file));
  const chosen = found[name] ?? found.default?.[name];
  if (typeof chosen !== 'function') throw new TypeError(`${path} exports no function ${name}`);
  return chosen;
}

function contextOf(call) {
  return {
    config: call.configuration,
    files: Object.fromEntries(call.files.map((name) => [name, `/in/${name}`])),
    out: '/out',
    storage: broker.storage,
    fetch: broker.fetch,
    publish: broker.publish,
    call: broker.call,
    run_id: call.run_id,
    trace_id: call.trace_id,
    log: (message) => say({ type: 'log', text: `${message}\n` }),
  };
}

/** JSON has no such values, and they would vanish without a word. */
function strict(key, value) {
  const isLost = typeof value === 'number' ? !Number.isFinite(value) : /^(func|symb)/.test(typeof value);
  if (isLost) throw new TypeError(`the result is not JSON: ${String(value).slice(0, 100)} at ${key}`);
  return value;
}

async function answer(call) {
  const context = contextOf(call);
  if (call.is_service) Object.assign(context, await serviceContext());
  const result = await run(call.input, context);
  const json = JSON.stringify(result ?? null, strict) ?? 'null';
  if (Buffer.byteLength(json) > load.result_bytes) {
    fail('output_limit', 'the result is larger than its limit');
  }
  say({ type: 'result', json });
  end();
}

async function hear(frame) {
  if (load === null) {
    load = frame;
    seeing.begin((kind, target) => say({ type: 'seen', kind, target }));
    const found = await find();
    say({ type: 'ready' });
    run = found;
  } else if (!isCalled) {
    isCalled = true;
    // From here on the process ends when nothing is left to wait for.
    calls.unref();
    process.once('beforeExit', () => fail('error', 'nothing is left that could settle the promise'));
    await answer(frame);
  }
}

process.on('uncaughtException', report);
// What was printed must be out when the process ends, and a flood must wait, not pile up in memory.
for (const stream of [process.stdout, process.stderr]) stream._handle.setBlocking(true);
proxying.install();
const calls = new net.Socket({ fd: CALLS, readable: true, writable: false });
const frames = new Frames(0xffffffff);
calls.on('error', () => leave(0)).on('end', () => leave(0));
calls.on('data', (data) => {
  for (const frame of frames.feed(data)) hear(JSON.parse(frame)).catch(report);
});
