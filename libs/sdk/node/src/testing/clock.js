// The time that a plugin under test sees.

/** Stands still at what was set; the real one before that, and outside of runs. */
export class Clock {
  #now = null;

  set(at) {
    const now = new Date(at).getTime();
    if (Number.isNaN(now)) throw new RangeError(`${at} is no time`);
    this.#now = now;
  }

  /** Gives what undoes it. */
  begin() {
    const plain = globalThis.Date;
    const now = () => this.#now ?? plain.now();
    globalThis.Date = new Proxy(plain, {
      apply: () => new plain(now()).toString(),
      construct: (_, given, target) => Reflect.construct(plain, given.length ? given : [now()], target),
      get: (_, name) => (name === 'now' ? now : Reflect.get(plain, name)),
    });
    return () => {
      globalThis.Date = plain;
    };
  }
}
