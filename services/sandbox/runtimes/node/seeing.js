'use strict';
// What the plugin touches through the usual functions of Node. Evidence, and no barrier: who wants to
// hide from it can. Standard library only.

const childProcess = require('node:child_process');
const dns = require('node:dns');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { syncBuiltinESMExports } = require('node:module');

const MOST = 200;
const MOST_CHARACTERS = 300;
const OWN = ['/plugin/', '/deps/', '/tmp/', '/dev/null'];
// What every program of this language reads, and what a run is given.
const QUIET_READS = [...OWN, '/usr/', '/opt/heimnetz/', '/node_modules/', '/etc/ssl/', '/in', '/out'];
const QUIET_WRITES = [...OWN, '/out/'];
const QUIET_CONNECTS = ['/run/heimnetz/', '127.0.0.1:3128'];
const isQuiet = (text, starts) => starts.some((start) => text.startsWith(start));

function onFile(file, isWritten) {
  // Open already, as a number or a FileHandle: it was told when it was opened.
  if (typeof file !== 'string' && !(file instanceof URL) && !Buffer.isBuffer(file)) return null;
  const text = path.resolve(file instanceof URL ? file.pathname : String(file));
  if (isQuiet(text, isWritten ? QUIET_WRITES : QUIET_READS)) return null;
  return [isWritten ? 'write' : 'read', text];
}

const isWriting = (flags) => (typeof flags === 'number' ? flags & 3 : typeof flags === 'string' && /[wa+]/.test(flags));
const onOpen = (file, flags) => onFile(file, isWriting(flags));

function onConnect(...given) {
  const [to] = Array.isArray(given[0]) ? given[0] : net._normalizeArgs(given);
  const target = to.path ?? `${to.host ?? 'localhost'}:${to.port}`;
  return isQuiet(target, QUIET_CONNECTS) ? null : ['connect', target];
}

const onResolve = (host) => (!host || host === 'localhost' || net.isIP(host) ? null : ['resolve', String(host)]);

const STARTING = ['spawn', 'spawnSync', 'execSync', 'execFileSync'];
const WRITING = ['writeFile', 'writeFileSync', 'appendFile', 'appendFileSync', 'createWriteStream'];
const LOOKS = [
  [[fs, fs.promises], ['readFile', 'readFileSync', 'createReadStream'], (file) => onFile(file, false)],
  [[fs, fs.promises], WRITING, (file) => onFile(file, true)],
  [[fs, fs.promises], ['open', 'openSync'], onOpen],
  [[childProcess, childProcess.ChildProcess.prototype], STARTING, (given) => ['process', String(given.file ?? given)]],
  [[process], ['dlopen'], (_, file) => ['native', String(file)]],
  [[net.Socket.prototype], ['connect'], onConnect],
  [[dns, dns.promises], ['lookup', 'resolve', 'resolve4', 'resolve6'], onResolve],
];

/** `tell` hears of each kind and target once. */
function begin(tell) {
  const known = new Set();
  const see = (found) => {
    if (found === null || known.size >= MOST || known.has(found.join(' '))) return;
    known.add(found.join(' '));
    tell(found[0], found[1].slice(0, MOST_CHARACTERS));
  };
  for (const [objects, names, look] of LOOKS) {
    const apply = (plain, self, given) => {
      try {
        see(look(...given));
      } catch {
        // What cannot be understood must not change the run.
      }
      return Reflect.apply(plain, self, given);
    };
    for (const object of objects) {
      for (const name of names) if (name in object) object[name] = new Proxy(object[name], { apply });
    }
  }
  syncBuiltinESMExports();
}

module.exports = { begin };
