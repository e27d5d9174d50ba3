'use strict';
// Frames of docs/runner-protocol.md, in any portions. Standard library only.

const HEADER_BYTES = 4;

function pack(body) {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

const encode = (frame) => pack(Buffer.from(JSON.stringify(frame)));

/** Takes bytes in any portions, gives whole frames. */
class Frames {
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
    this.parts = [];
    this.size = 0;
  }

  /** Throws RangeError, for a frame that announces more than it may have. */
  feed(data) {
    this.parts.push(data);
    this.size += data.length;
    const frames = [];
    while (this.size >= HEADER_BYTES) {
      if (this.parts[0].length < HEADER_BYTES) this.parts = [Buffer.concat(this.parts)];
      const length = this.parts[0].readUInt32BE();
      if (length > this.maxBytes) throw new RangeError(`a frame of ${length} bytes`);
      const end = HEADER_BYTES + length;
      if (this.size < end) break;
      const whole = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
      frames.push(whole.subarray(HEADER_BYTES, end));
      this.parts = [whole.subarray(end)];
      this.size -= end;
    }
    return frames;
  }
}

module.exports = { Frames, encode, pack };
