// A network that only the test answers, behind the grants.

import net from 'node:net';
import { Refused } from './refusing.js';
import { bytesOf } from './storing.js';

const MAX_ANSWER_BYTES = 16 << 20;
const MAX_REDIRECTS = 20;
const HOME = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];

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

/** What was asked is in `requests`; what answers is said with `answer` and `fail`. */
export class Network {
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
