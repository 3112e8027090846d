'use strict';

/**
 * Requests on their way out: frames are written one behind the other into one buffer, and what one turn of the event loop brings
 * leaves in one write; from `isWorthSending` on in several, so that the node works while the rest is being made. While the socket
 * still holds a buffer, the next one is filled.
 */

const { Encoder } = require('../msgpack/encoder');
const { compress } = require('./lz4');
const { Flag, HEADER_BYTES } = require('./protocol');

const BUFFER_BYTES = 64 << 10;
const FRAMES_AT_ONCE = 32;
/** Smaller payloads are not worth compressing, nor those that shrink by less than an eighth. */
const COMPRESS_FROM = 1024;

class Outbox {
  constructor() {
    this.encoder = new Encoder(BUFFER_BYTES);
    this.spare = [];
    this.frameCount = 0;
    this.start = 0;
    this.flags = 0;
  }

  get byteCount() {
    return this.encoder.position;
  }

  get isWorthSending() {
    return this.frameCount >= FRAMES_AT_ONCE || this.encoder.position >= BUFFER_BYTES;
  }

  /** Begins a frame; the payload is written to the encoder that this gives. An id of 0 means none. */
  begin(type, flags, id) {
    const encoder = this.encoder;
    encoder.reserve(HEADER_BYTES + 4);
    const buffer = encoder.buffer;
    const at = encoder.position;
    this.start = at;
    this.flags = id === 0 ? flags : flags | Flag.REQUEST_ID;
    buffer[at] = 0x4e;
    buffer[at + 1] = 0x45;
    buffer[at + 2] = 0x58;
    buffer[at + 3] = 0x41;
    buffer[at + 4] = 1;
    buffer[at + 5] = type;
    encoder.position = at + HEADER_BYTES;
    if (id !== 0) {
      buffer.writeUInt32BE(id, at + HEADER_BYTES);
      encoder.position += 4;
    }
    return encoder;
  }

  /** Ends the frame. Gives its payload's length; where that is above `maxFrame`, the frame is taken back. */
  end(mayCompress, maxFrame) {
    const encoder = this.encoder;
    const first = this.start + HEADER_BYTES;
    if (encoder.position - first > maxFrame) {
      const count = encoder.position - first;
      encoder.position = this.start;
      return count;
    }
    if (mayCompress && encoder.position - first >= COMPRESS_FROM) {
      this.compress(first + ((this.flags & Flag.REQUEST_ID) === 0 ? 0 : 4));
    }
    const count = encoder.position - first;
    this.frameCount++;
    encoder.buffer[this.start + 6] = this.flags >> 8;
    encoder.buffer[this.start + 7] = this.flags;
    encoder.buffer.writeUInt32BE(count, this.start + 8);
    return count;
  }

  compress(from) {
    const encoder = this.encoder;
    const raw = encoder.position - from;
    const block = compress(encoder.buffer, from, encoder.position, raw - (raw >> 3) - 4);
    if (block === null) return;
    this.flags |= Flag.COMPRESSED;
    encoder.buffer.writeUInt32BE(raw, from);
    block.copy(encoder.buffer, from + 4);
    encoder.position = from + 4 + block.length;
  }

  /** Hands all frames to the socket in one write. */
  flush(socket) {
    const full = this.encoder;
    if (full.position === 0) return;
    this.frameCount = 0;
    this.encoder = this.spare.pop() ?? new Encoder(BUFFER_BYTES);
    socket.write(full.buffer.subarray(0, full.position), () => {
      full.position = 0;
      if (this.spare.length < 2 && full.buffer.length <= 16 * BUFFER_BYTES) this.spare.push(full);
    });
  }
}

module.exports = { Outbox };
