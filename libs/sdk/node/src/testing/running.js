// One call of a plugin's function, and what it did.

import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Request, answer } from '../serving.js';
import { Clock } from './clock.js';
import { Network } from './network.js';
import { Refused } from './refusing.js';
import { Storage } from './storing.js';

const ENDINGS = ['', '.js', '.mjs', '.cjs'];
const MAX_EVENT_BYTES = 64 * 1024;
const MAX_EVENTS = 100;

const folders = [];
process.once('exit', () => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

function readManifest() {
  const place = process.env.HEIMNETZ_MANIFEST;
  if (!place) throw new Error('run the tests with: heimnetz test');
  return JSON.parse(fs.readFileSync(place, 'utf8'));
}

function makeFolder() {
  folders.push(fs.mkdtempSync(path.join(os.tmpdir(), 'heimnetz-')));
  return folders.at(-1);
}

/** What a run answered, and what it touched; permissions are grant keys. */
class Run {
  #secrets;

  constructor(facts, secrets) {
    Object.assign(this, facts);
    this.#secrets = secrets;
  }

  /** Everything that was granted was used, and nothing else was tried. */
  assertPermissionsFit() {
    const unused = this.granted.filter((key) => !this.used.includes(key));
    const said = [...this.refused.map((key) => `tried without a grant: ${key}`), ...unused.map((key) => `granted and not used: ${key}`)];
    assert.deepStrictEqual(said, [], 'the permissions do not fit');
  }

  /** No secret of the configuration stands in the log, the result or a file. */
  assertNoSecretShown() {
    const files = Object.entries(this.files).map(([name, data]) => [`the file ${name}`, data]);
    const places = [['the log', this.log.join('\n')], ['the result', JSON.stringify(this.result)], ...files];
    for (const [secret, value] of Object.entries(this.#secrets)) {
      for (const [place, data] of places) assert.ok(!value || !data.includes(value), `the secret ${secret} is shown in ${place}`);
    }
  }
}

/** What the configuration has at the schema's secrets, by JSON Pointer. */
function secretsOf(pointers, values) {
  const found = {};
  for (const pointer of pointers) {
    const names = pointer.slice(1).split('/').map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
    const value = names.reduce((inner, name) => inner?.[name], values);
    if (value !== undefined) found[pointer] = String(value);
  }
  return found;
}

let isRunning = false;

/** The project's plugin; its storage lasts over its runs, and each test opens its own. */
export class Plugin {
  manifest = readManifest();
  storage = new Storage();
  network = new Network();
  clock = new Clock();
  events = [];
  #root = process.cwd();
  #serve = notAService;
  #results = new Map();
  #work = makeFolder();
  #runs = 0;

  /** What another plugin gives when it is called; an Error is thrown. */
  answerCall(plugin, result) {
    this.#results.set(plugin, result);
  }

  /**
   * Calls the function as the platform would. Without `grants`, all that the manifest asks for is
   * granted; what the function throws is thrown. The configuration has the schema's defaults, and
   * its keys are checked; its values are for the platform to check.
   */
  async run(input = {}, { config = {}, files = {}, grants = this.manifest.grants } = {}) {
    const strange = grants.filter((key) => !this.manifest.grants.includes(key));
    assert.deepStrictEqual(strange, [], 'the manifest does not ask for this');
    const { shown, withheld, secrets } = this.#configure(config, grants);
    const room = grants.find((key) => key.startsWith('storage:'));
    this.storage.begin(room ? Number(room.split(':')[1]) : 0);
    this.network.begin(grants, withheld);
    const others = { used: new Set(), refused: [] };
    const log = [];
    const context = this.#contextOf(shown, files, grants, others, log);
    const given = JSON.parse(JSON.stringify(input));
    const call = await this.#find();
    assert.ok(!isRunning, 'one run at a time: they share the process');
    isRunning = true;
    const restore = [this.network.close(), this.clock.begin()];
    let result;
    try {
      result = this.#checked(await call(given, context));
    } finally {
      for (const undo of restore) undo();
      isRunning = false;
    }
    assert.deepStrictEqual(this.network.unanswered, [], 'the test gives no answer to this: plugin.network.answer');
    const used = new Set([...this.network.used, ...others.used, ...(this.storage.isUsed ? [room] : [])]);
    // A secret that is read needs no asking for.
    for (const key of grants) if (key.startsWith('secrets:') && !key.includes('@')) used.add(key);
    const refused = [...this.network.refused, ...others.refused, ...(this.storage.isRefused ? ['storage'] : [])];
    const kept = fs.readdirSync(context.out).map((name) => [name, fs.readFileSync(path.join(context.out, name))]);
    const facts = { result, log, events: this.events, files: Object.fromEntries(kept), granted: [...grants], used: [...used], refused };
    return new Run(facts, secrets);
  }

  /** What a service answers to one request; a body that is no text and no bytes is sent as JSON. */
  async ask(method, target, { body = '', headers = {}, config } = {}) {
    const isPlain = typeof body === 'string' || body instanceof Uint8Array;
    const given = isPlain ? headers : { 'content-type': 'application/json', ...headers };
    const named = Object.fromEntries(Object.entries(given).map(([name, text]) => [name.toLowerCase(), text]));
    const request = new Request(method.toUpperCase(), target, named, Buffer.from(isPlain ? body : JSON.stringify(body)));
    let found;
    this.#serve = async (handle) => {
      found = await answer(handle, request);
    };
    try {
      await this.run({}, { config });
    } finally {
      this.#serve = notAService;
    }
    assert.ok(found, 'the plugin serves nothing');
    return found;
  }

  /** An example of the manifest; each member of its `output` has to be equal. */
  async runExample(name) {
    const example = this.manifest.examples.find((one) => one.name === name);
    assert.ok(example, `the manifest has no example ${name}`);
    const files = Object.fromEntries(example.files.map((file) => [path.basename(file), fs.readFileSync(path.join(this.#root, file))]));
    const run = await this.run(example.input, { config: example.configuration, files });
    for (const [key, value] of Object.entries(example.output ?? {})) assert.deepStrictEqual(run.result?.[key], value, `example ${name}: ${key}`);
    return run;
  }

  #configure(config, grants) {
    const { defaults, known, required, withheld, secrets: pointers } = this.manifest.configuration;
    const whole = { ...structuredClone(defaults), ...structuredClone(config) };
    const wrong = [...Object.keys(whole).filter((key) => known && !known.includes(key)), ...required.filter((key) => !(key in whole))];
    assert.deepStrictEqual(wrong, [], 'the configuration has unknown keys, or lacks some');
    const secrets = secretsOf(pointers, whole);
    const held = [];
    for (const { name, to } of withheld) {
      if (typeof whole[name] !== 'string' || !whole[name]) continue;
      const key = `secrets:${name}@${to}`;
      const placeholder = `heimnetz-secret-${name}-${this.#runs}`;
      if (grants.includes(key)) held.push({ placeholder, value: whole[name], key, to });
      whole[name] = placeholder;
    }
    return { shown: whole, withheld: held, secrets };
  }

  #contextOf(config, files, grants, others, log) {
    this.#runs += 1;
    this.events = [];
    const folder = path.join(this.#work, String(this.#runs));
    for (const name of ['in', 'out']) fs.mkdirSync(path.join(folder, name), { recursive: true });
    const place = ([name, content]) => {
      fs.writeFileSync(path.join(folder, 'in', name), content, { mode: 0o444 });
      return [name, path.join(folder, 'in', name)];
    };
    const ask = (key) => {
      if (!grants.includes(key)) {
        others.refused.push(key);
        throw new Refused('EACCES', `${key} is not granted`);
      }
      others.used.add(key);
    };
    return {
      config,
      files: Object.fromEntries(Object.entries(files).map(place)),
      out: path.join(folder, 'out'),
      storage: this.storage,
      fetch: (url, options) => this.network.fetchWithSecrets(url, options),
      publish: async (event, data) => {
        ask(`publish:${event}`);
        const text = JSON.stringify(data);
        if (Buffer.byteLength(text) > MAX_EVENT_BYTES) throw new Refused('EINVAL', `an event has at most ${MAX_EVENT_BYTES} bytes`);
        if (this.events.length >= MAX_EVENTS) throw new Refused('EAGAIN', `a run publishes at most ${MAX_EVENTS} events`);
        this.events.push([event, JSON.parse(text)]);
      },
      call: async (plugin) => {
        ask(`call:${plugin}`);
        assert.ok(this.#results.has(plugin), `the test gives no answer of ${plugin}: plugin.answerCall`);
        const result = this.#results.get(plugin);
        if (result instanceof Error) throw result;
        return result;
      },
      run_id: `run-${this.#runs}`,
      trace_id: this.#runs.toString(16).padStart(32, '0'),
      log: (message) => log.push(String(message)),
      ...(this.manifest.is_service ? { serve: this.#serve } : {}),
    };
  }

  async #find() {
    const [file, name = 'default'] = this.manifest.entry_point.split(':');
    const found = ENDINGS.map((ending) => path.join(this.#root, file + ending)).find((one) => fs.existsSync(one));
    assert.ok(found, `the project has no ${file}`);
    const loaded = await import(pathToFileURL(found));
    const chosen = loaded[name] ?? loaded.default?.[name];
    assert.strictEqual(typeof chosen, 'function', `${file} exports no function ${name}`);
    return chosen;
  }

  #checked(result) {
    const text = JSON.stringify(result ?? null, (key, value) => {
      const isLost = typeof value === 'number' ? !Number.isFinite(value) : /^(func|symb)/.test(typeof value);
      assert.ok(!isLost, `the result is not JSON: ${String(value)} at ${key}`);
      return value;
    });
    const limit = this.manifest.result_bytes;
    assert.ok(Buffer.byteLength(text) <= limit, `the result has more than ${limit} bytes`);
    return JSON.parse(text);
  }
}

function notAService() {
  throw new assert.AssertionError({ message: 'the plugin serves: ask it with plugin.ask' });
}
