'use strict';
// Process 1 of a plugin's container: the only one that the sandbox talks to.
//
// It supervises: it holds the socket to the sandbox, and never runs a line of the plugin, which
// runs in a child whose output and answers come through pipes. The protocol is in
// docs/runner-protocol.md. The sandbox believes nothing that comes from here.

const fs = require('node:fs');
const net = require('node:net');
const { constants } = require('node:os');
const { spawn } = require('node:child_process');
const forwarding = require('./forwarding.js');
const { Frames, encode, pack } = require('./framing.js');

const PROTOCOL = 1;
const SOCKET = '/run/heimnetz/runner.sock';
const OUT = '/out/';
const FILE_CHUNK_BYTES = 192 * 1024;
const OF_WORKER = ['log', 'ready', 'result', 'error', 'seen'].map((kind) => `{"type":"${kind}"`);
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/tmp', LANG: 'C.UTF-8' };
// What V8 says before it gives up; the engine's own cap on memory is seen by the sandbox.
const NO_MEMORY = 'JavaScript heap out of memory';
const MIB = 1 << 20;
const OUR_BYTES = 32 * MIB;

/** The heap stays below the container's cap, so that garbage is collected before the kernel acts. */
function heapOptions() {
  const cap = process.constrainedMemory();
  return cap ? [`--max-old-space-size=${Math.max(16, Math.floor((cap - OUR_BYTES) / MIB))}`] : [];
}

class Supervisor {
  constructor(connection) {
    this.connection = connection;
    this.incoming = new Frames(64 * MIB);
    this.answers = new Frames(0);
    this.isLoaded = this.isReady = this.wasCalled = this.hasAnswered = this.isOver = false;
    this.lastError = '';
  }

  run() {
    this.connection.on('data', (data) => this.hearSandbox(data));
    // Nobody waits for an answer any more, or our counters have been read.
    for (const event of ['end', 'error', 'close']) this.connection.on(event, () => process.exit(0));
    // It starts while the sandbox answers, and is given the plugin when that is named.
    this.worker = this.start();
    this.send({ type: 'hello', protocol: PROTOCOL, runtime: process.versions.node });
    forwarding.start();
  }

  start() {
    const options = ['--v8-pool-size=1', '--max-semi-space-size=4', ...heapOptions()];
    const worker = spawn('/usr/bin/node', [...options, `${__dirname}/working.js`], {
      cwd: '/tmp',
      env: { ...ENVIRONMENT, ...forwarding.VARIABLES },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    const [, stdout, stderr, calls, answers] = worker.stdio;
    this.heard = [stdout, stderr, answers];
    for (const [name, stream] of [['stdout', stdout], ['stderr', stderr]]) {
      stream.setEncoding('utf8').on('data', (text) => this.hearOutput(name, text));
    }
    answers.on('data', (data) => this.hearAnswers(data));
    for (const stream of [...this.heard, calls]) stream.on('error', () => {});
    worker.on('exit', () => this.endOthers());
    worker.on('close', (code, signal) => this.collect(code, signal));
    worker.on('error', () => process.exit(1));
    return worker;
  }

  hearSandbox(data) {
    for (const frame of this.incoming.feed(data)) {
      if (this.isLoaded) this.wasCalled = true;
      else this.answers.maxBytes = JSON.parse(frame).max_frame_bytes;
      this.isLoaded = true;
      this.worker.stdio[3].write(pack(frame));
    }
  }

  hearOutput(stream, text) {
    if (stream === 'stderr') this.lastError = (this.lastError + text).slice(-16384);
    this.send({ type: 'log', stream, text });
  }

  hearAnswers(data) {
    if (this.isOver) return;
    try {
      for (const frame of this.answers.feed(data)) this.passOn(frame);
    } catch {
      this.isOver = true;
      this.fail('output_limit', 'too large a frame');
      this.worker.kill('SIGKILL');
    }
  }

  passOn(frame) {
    const kind = OF_WORKER.find((start) => frame.toString('latin1', 0, start.length) === start);
    if (kind === undefined) throw new RangeError('no frame of a worker');
    this.isReady ||= kind.includes('ready');
    this.hasAnswered ||= kind.includes('result') || kind.includes('error');
    this.write(pack(frame));
  }

  /** Nothing that the plugin started may outlive its call, or write while we collect. */
  endOthers() {
    if (this.isReady && !this.wasCalled) process.exit(0); // it ended while it waited
    try {
      process.kill(-1, 'SIGKILL');
    } catch {
      // There is nobody else.
    }
    forwarding.cut();
  }

  /** The worker has ended, and all that was in its pipes is heard. */
  async collect(code, signal) {
    if (signal === 'SIGABRT' && this.lastError.includes(NO_MEMORY)) {
      this.fail('out_of_memory', 'the heap has no more room');
    }
    this.send({ type: 'exit', code: code ?? 0, signal: signal ? constants.signals[signal] : 0 });
    await this.sendFiles();
    this.send({ type: 'end' });
    // Only when the sandbox has read our counters and hung up may the container vanish.
  }

  /** Regular files of /out alone; links and devices are not followed, nor are folders. */
  async sendFiles() {
    const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;
    const sent = new Set();
    for (const bytes of fs.readdirSync(OUT, { encoding: 'buffer' }).sort(Buffer.compare)) {
      const name = bytes.toString();
      const descriptor = sent.has(name) ? -1 : open(Buffer.concat([Buffer.from(OUT), bytes]), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      if (descriptor < 0) continue;
      if (fs.fstatSync(descriptor).isFile()) {
        sent.add(name);
        await this.sendFile(name, descriptor);
      }
      fs.closeSync(descriptor);
    }
  }

  async sendFile(name, descriptor) {
    this.send({ type: 'file', name });
    const chunk = Buffer.alloc(FILE_CHUNK_BYTES);
    for (let size; (size = fs.readSync(descriptor, chunk)) > 0; ) {
      const isTaken = this.send({ type: 'data', base64: chunk.toString('base64', 0, size) });
      if (!isTaken) await new Promise((resolve) => this.connection.once('drain', resolve));
    }
  }

  fail(cause, reason) {
    if (!this.hasAnswered) this.send({ type: 'error', cause, reason });
    this.hasAnswered = true;
  }

  send(frame) {
    return this.write(encode(frame));
  }

  /** Whether more may be sent at once; the worker waits while the sandbox does not read. */
  write(data) {
    const isTaken = this.connection.write(data);
    if (!isTaken && !this.isHeld) {
      this.isHeld = true;
      for (const stream of this.heard) stream.pause();
      this.connection.once('drain', () => {
        this.isHeld = false;
        for (const stream of this.heard) stream.resume();
      });
    }
    return isTaken;
  }
}

function open(path, flags) {
  try {
    return fs.openSync(path, flags);
  } catch {
    return -1;
  }
}

const connection = net.connect(SOCKET, () => new Supervisor(connection).run());
connection.on('error', () => process.exit(1));
