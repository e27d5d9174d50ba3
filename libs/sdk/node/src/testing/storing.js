// A plugin's storage, in memory.

import { Refused } from './refusing.js';

const KEY = /^(?!.*\.\.)[A-Za-z0-9._/:@-]{1,200}$/;
const MAX_VALUE_BYTES = 1 << 20;
const MAX_KEYS = 10_000;

export const bytesOf = (value) => (typeof value === 'string' ? Buffer.from(value) : Buffer.from(value ?? ''));

/** Lasts over the runs of one plugin under test; `items` has what was put. */
export class Storage {
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
