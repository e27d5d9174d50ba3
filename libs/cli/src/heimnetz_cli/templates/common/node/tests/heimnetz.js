'use strict';
// The platform as a plugin under test meets it: grants, configuration, storage, events, and a network
// that only the test answers. `heimnetz setup` writes this file anew; `heimnetz test` hands it the
// manifest. Node's own modules only.

const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const ROOT = path.dirname(__dirname);
const ENDINGS = ['', '.js', '.mjs', '.cjs'];
const KEY = /^(?!.*\.\.)[A-Za-z0-9._/:@-]{1,200}$/;
const MAX_VALUE_BYTES = 1 << 20;
const MAX_KEYS = 10_000;
const MAX_EVENT_BYTES = 64 * 1024;
const MAX_EVENTS = 100;
const MAX_ANSWER_BYTES = 16 << 20;
const MAX_REDIRECTS = 20;
const HOME = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];

/** `code`: EACCES without the grant, EINVAL for nonsense, ENOSPC without room, EAGAIN for later. */
class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.name = 'Refused';
    this.code = code;
  }
}

const folders = [];
process.once('exit', () => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

function makeFolder() {
  folders.push(fs.mkdtempSync(path.join(os.tmpdir(), 'heimnetz-')));
  return folders.at(-1);
}

function readManifest() {
  const place = process.env.HEIMNETZ_MANIFEST;
  if (!place) throw new Error('run the tests with: heimnetz test');
  return JSON.parse(fs.readFileSync(place, 'utf8'));
}

function isWithin(host, range) {
  const [address, bits = net.isIPv6(range) ? '128' : '32'] = range.split('/');
  const kind = net.isIPv6(address) ? 'ipv6' : 'ipv4';
  if (net.isIP(address) === 0 || net.isIP(host) !== net.isIP(address)) return false;
  const list = new net.BlockList();
  list.addSubnet(address, Number(bits), kind);
  return list.check(host, kind);
}

/** Whether a grant such as `network:*.example.org:443` leads there. */
function covers(key, host, port) {
  const [, name, own] = /^network:\[?([^\]]*?)\]?:(\d+)$/.exec(key) ?? [];
  if (name === undefined || Number(own) !== port) return false;
  if (name === 'lan') return net.isIP(host) === 0 || HOME.some((range) => isWithin(host, range));
  if (net.isIP(host)) return isWithin(host, name);
  return name === host || (name.startsWith('*.') && host.endsWith(name.slice(1)));
}

const bytesOf = (value) => (typeof value === 'string' ? Buffer.from(value) : Buffer.from(value ?? ''));

/** Lasts over the runs of one plugin under test; `items` has what was put. */
class Storage {
  constructor() {
    this.items = new Map();
    this.begin(0);
  }

  begin(room) {
    [this.room, this.isUsed, this.isRefused] = [room, false, false];
  }

  async get(key) {
    this.#enter(key);
    return this.items.get(key) ?? null;
  }

  async put(key, value) {
    const data = bytesOf(value);
    if (data.length > MAX_VALUE_BYTES) throw new Refused('EINVAL', `a value has at most ${MAX_VALUE_BYTES} bytes`);
    this.#enter(key);
    let needed = key.length + data.length;
    for (const [name, held] of this.items) if (name !== key) needed += name.length + held.length;
    if (needed > this.room) throw new Refused('ENOSPC', `${needed} of ${this.room} bytes are needed`);
    if (!this.items.has(key) && this.items.size >= MAX_KEYS) throw new Refused('ENOSPC', `there are ${MAX_KEYS} keys`);
    this.items.set(key, data);
  }

  async delete(key) {
    this.#enter(key);
    this.items.delete(key);
  }

  async keys(prefix = '') {
    this.#enter('any');
    return [...this.items.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  #enter(key) {
    if (!this.room) {
      this.isRefused = true;
      throw new Refused('EACCES', 'storage is not granted');
    }
    if (!KEY.test(key)) throw new Refused('EINVAL', 'a key has 1 to 200 of A-Z a-z 0-9 . _ / : @ -, and no ..');
    this.isUsed = true;
  }
}

/** What was asked is in `requests`; what answers is said with `answer` and `fail`. */
class Network {
  #answers = new Map();
  #unreachable = new Set();
  requests = [];

  begin(grants, withheld) {
    // `lan` covers what no other grant names.
    const isLan = (key) => key.startsWith('network:lan:');
    this.grants = grants.filter((key) => key.startsWith('network:')).sort((a, b) => isLan(a) - isLan(b));
    this.withheld = withheld;
    [this.used, this.refused, this.unanswered] = [new Set(), [], []];
  }

  /** Further answers for the same request come one after the other; the last one stays. */
  answer(method, url, { status = 200, json, body = '', headers = {} } = {}) {
    const kind = json === undefined ? {} : { 'content-type': 'application/json' };
    const data = bytesOf(json === undefined ? body : JSON.stringify(json));
    const key = `${method.toUpperCase()} ${url}`;
    this.#answers.set(key, [...(this.#answers.get(key) ?? []), { status, body: data, headers: { ...kind, ...headers } }]);
  }

  /** From now on nobody answers at `host:port`. */
  fail(target) {
    this.#unreachable.add(target);
  }

  /** Throws Refused, with the code that is given for where nobody answers. */
  pass(url, unreachable) {
    const { hostname, protocol, port } = new URL(url);
    const number = Number(port) || (protocol === 'https:' ? 443 : 80);
    const target = `${hostname}:${number}`;
    const key = this.grants.find((one) => covers(one, hostname.replace(/^\[|\]$/g, ''), number));
    if (key === undefined) {
      this.refused.push(`network:${target}`);
      throw new Refused('EACCES', `${target} is not granted`);
    }
    this.used.add(key);
    if (this.#unreachable.has(target)) throw new Refused(unreachable, `${target} cannot be reached`);
  }

  respond(method, url, headers, body) {
    const key = `${method.toUpperCase()} ${url}`;
    this.requests.push({ method: method.toUpperCase(), url, headers, body });
    const found = this.#answers.get(key);
    if (found === undefined) {
      this.unanswered.push(key);
      return { status: 502, body: Buffer.from('the test gives no answer to this'), headers: {} };
    }
    return found.length > 1 ? found.shift() : found[0];
  }

  /** In place of the global `fetch`. */
  async fetch(resource, options = {}, redirects = 0) {
    const request = new Request(resource, options);
    try {
      this.pass(request.url, 'ECONNREFUSED');
    } catch (cause) {
      throw new TypeError('fetch failed', { cause });
    }
    const sent = Buffer.from(await request.arrayBuffer());
    const { status, body, headers } = this.respond(request.method, request.url, Object.fromEntries(request.headers), sent);
    const response = new Response([204, 205, 304].includes(status) ? null : body, { status, headers });
    const to = status >= 300 && status < 400 && response.headers.get('location');
    if (!to || request.redirect === 'manual') return response;
    if (request.redirect === 'error' || redirects >= MAX_REDIRECTS) throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') });
    return this.fetch(new URL(to, request.url), { headers: options.headers, signal: options.signal }, redirects + 1);
  }

  /** As `context.fetch`; the request is kept as the host would get it, secrets in place. */
  async fetchWithSecrets(url, { method = 'GET', headers = {}, body = '' } = {}) {
    this.pass(url, 'EAGAIN');
    const { host, hostname, protocol } = new URL(url);
    const target = host === hostname ? `${host}:443` : host;
    let [filledUrl, filled] = [String(url), Object.fromEntries(Object.entries(headers).map(([name, text]) => [name.toLowerCase(), String(text)]))];
    for (const { placeholder, value, key, to } of protocol === 'https:' ? this.withheld : []) {
      if (to !== target) continue;
      const before = filledUrl + JSON.stringify(filled);
      filledUrl = filledUrl.replaceAll(placeholder, encodeURIComponent(value));
      for (const name of Object.keys(filled)) filled[name] = fillIn(filled[name], placeholder, value);
      if (filledUrl + JSON.stringify(filled) !== before) this.used.add(key);
    }
    const answer = this.respond(method, filledUrl, filled, bytesOf(body));
    if (answer.body.length > MAX_ANSWER_BYTES) throw new Refused('EINVAL', `the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    const named = Object.entries(answer.headers).map(([name, text]) => [name.toLowerCase(), text]);
    const text = answer.body.toString();
    return { status: answer.status, headers: Object.fromEntries(named), body: answer.body, text, json: () => JSON.parse(text) };
  }

  /** While the plugin runs nothing leaves this process. Gives what undoes it. */
  close() {
    const [plain, connect] = [globalThis.fetch, net.Socket.prototype.connect];
    const { refused } = this;
    globalThis.fetch = (resource, options) => this.fetch(resource, options);
    net.Socket.prototype.connect = function refuse() {
      refused.push('network (not by fetch)');
      process.nextTick(() => this.destroy(new Refused('EACCES', 'tests answer fetch alone')));
      return this;
    };
    return () => {
      globalThis.fetch = plain;
      net.Socket.prototype.connect = connect;
    };
  }
}

function fillIn(text, placeholder, value) {
  if (!/^basic /i.test(text)) return text.replaceAll(placeholder, value);
  const opened = Buffer.from(text.slice(6), 'base64').toString().replaceAll(placeholder, value);
  return text.slice(0, 6) + Buffer.from(opened).toString('base64');
}

/** What a run answered, and what it touched; permissions are grant keys. */
class Run {
  constructor(facts) {
    Object.assign(this, facts);
  }

  /** Everything that was granted was used, and nothing else was tried. */
  assertPermissionsFit() {
    const unused = this.granted.filter((key) => !this.used.includes(key));
    const said = [...this.refused.map((key) => `tried without a grant: ${key}`), ...unused.map((key) => `granted and not used: ${key}`)];
    assert.deepStrictEqual(said, [], 'the permissions do not fit');
  }
}

let isRunning = false;

/** The project's plugin; its storage lasts over its runs, and each test opens its own. */
class Plugin {
  manifest = readManifest();
  storage = new Storage();
  network = new Network();
  events = [];
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
    const { shown, withheld } = this.#configure(config, grants);
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
    const restore = this.network.close();
    let result;
    try {
      result = this.#checked(await call(given, context));
    } finally {
      restore();
      isRunning = false;
    }
    assert.deepStrictEqual(this.network.unanswered, [], 'the test gives no answer to this: plugin.network.answer');
    const used = new Set([...this.network.used, ...others.used, ...(this.storage.isUsed ? [room] : [])]);
    // A secret that is read needs no asking for.
    for (const key of grants) if (key.startsWith('secrets:') && !key.includes('@')) used.add(key);
    const refused = [...this.network.refused, ...others.refused, ...(this.storage.isRefused ? ['storage'] : [])];
    const kept = fs.readdirSync(context.out).map((name) => [name, fs.readFileSync(path.join(context.out, name))]);
    return new Run({ result, log, events: this.events, files: Object.fromEntries(kept), granted: [...grants], used: [...used], refused });
  }

  /** An example of the manifest; each member of its `output` has to be equal. */
  async runExample(name) {
    const example = this.manifest.examples.find((one) => one.name === name);
    assert.ok(example, `the manifest has no example ${name}`);
    const files = Object.fromEntries(example.files.map((file) => [path.basename(file), fs.readFileSync(path.join(ROOT, file))]));
    const run = await this.run(example.input, { config: example.configuration, files });
    for (const [key, value] of Object.entries(example.output ?? {})) assert.deepStrictEqual(run.result?.[key], value, `example ${name}: ${key}`);
    return run;
  }

  #configure(config, grants) {
    const { defaults, known, required, withheld } = this.manifest.configuration;
    const whole = { ...structuredClone(defaults), ...structuredClone(config) };
    const wrong = [...Object.keys(whole).filter((key) => known && !known.includes(key)), ...required.filter((key) => !(key in whole))];
    assert.deepStrictEqual(wrong, [], 'the configuration has unknown keys, or lacks some');
    const held = [];
    for (const { name, to } of withheld) {
      if (typeof whole[name] !== 'string' || !whole[name]) continue;
      const key = `secrets:${name}@${to}`;
      const placeholder = `heimnetz-secret-${name}-${this.#runs}`;
      if (grants.includes(key)) held.push({ placeholder, value: whole[name], key, to });
      whole[name] = placeholder;
    }
    return { shown: whole, withheld: held };
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
    };
  }

  async #find() {
    const [file, name = 'default'] = this.manifest.entry_point.split(':');
    const found = ENDINGS.map((ending) => path.join(ROOT, file + ending)).find((one) => fs.existsSync(one));
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

module.exports = { Plugin, Refused };
