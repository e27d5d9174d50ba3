'use strict';
// `fetch`, `http` and `https` know no proxy of their own: what they connect goes through the broker.

const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');
const { Refused } = require('./broker.js');
const { BROKER } = require('./forwarding.js');

const DISPATCHER = Symbol.for('undici.globalDispatcher.1');
const MAX_HEAD_BYTES = 64 * 1024;
const END_OF_HEAD = '\r\n\r\n';

/** Calls back with a socket to the host, or with why there is none. */
function tunnel(host, port, done) {
  const target = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
  const socket = net.connect({ path: BROKER });
  let head = Buffer.alloc(0);
  const fail = (error) => {
    socket.destroy();
    done(error);
  };
  const refused = () => {
    const text = head.toString();
    const code = text.split(' ')[1] === '403' ? 'EACCES' : 'ECONNREFUSED';
    fail(new Refused(code, text.split(END_OF_HEAD)[1] || `no connection to ${target}`));
  };
  const hear = (data) => {
    head = Buffer.concat([head, data]);
    if (head.length > MAX_HEAD_BYTES) return refused();
    const end = head.indexOf(END_OF_HEAD);
    // A refusal has a reason behind its head, and then ends.
    if (end < 0 || head.toString('latin1').split(' ')[1] !== '200') return undefined;
    socket.off('data', hear).off('end', refused).off('error', fail).pause();
    const rest = head.subarray(end + END_OF_HEAD.length);
    if (rest.length) socket.unshift(rest);
    return done(null, socket);
  };
  socket.on('data', hear).on('end', refused).on('error', fail);
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}${END_OF_HEAD}`);
}

function secure(options, done) {
  tunnel(options.host, options.port, (error, socket) => {
    if (error) return done(error);
    const secured = tls.connect({ ...options, path: undefined, socket });
    return done(null, secured);
  });
}

const isNear = (options) => options.socketPath || /^(localhost|127\.|::1$)/.test(options.host);

class Agent extends http.Agent {
  createConnection(options, done) {
    if (isNear(options)) return super.createConnection(options, done);
    return tunnel(options.host, options.port, (error, socket) => {
      done(error, socket);
      // The request listens from the next turn on, and does not wake what was paused.
      if (socket) process.nextTick(() => socket.resume());
    });
  }
}

class SecureAgent extends https.Agent {
  createConnection(options, done) {
    if (isNear(options)) return super.createConnection(options, done);
    return secure(options, done);
  }
}

/** As `fetch` asks for a connection. */
function connect({ hostname, port, protocol, servername }, done) {
  const host = hostname.replace(/^\[|\]$/g, '');
  const given = { host, port: Number(port) || (protocol === 'https:' ? 443 : 80) };
  if (protocol !== 'https:') return tunnel(given.host, given.port, done);
  const name = servername || (net.isIP(host) ? '' : host);
  return secure({ ...given, servername: name, ALPNProtocols: ['http/1.1'] }, (error, socket) => {
    if (error) return done(error);
    return socket.once('error', done).once('secureConnect', () => {
      socket.off('error', done);
      done(null, socket);
    });
  });
}

function install() {
  http.globalAgent = new Agent({ keepAlive: true, timeout: 5000 });
  https.globalAgent = new SecureAgent({ keepAlive: true, timeout: 5000 });
  const plain = globalThis.fetch;
  let isPrepared = false;
  globalThis.fetch = function fetch(...given) {
    if (!isPrepared) {
      void globalThis.Response; // its first use loads what has the dispatcher
      globalThis[DISPATCHER] = new globalThis[DISPATCHER].constructor({ connect });
      isPrepared = true;
    }
    return plain(...given);
  };
}

module.exports = { install };
