'use strict';

/**
 * Frames out of a stream of bytes (docs/protocol.md, "Frames").
 *
 * Bytes may come in any pieces. Frames that lie whole in a piece are handed on where they lie; one that spans pieces is gathered in
 * a buffer that doubles, never beyond its announced length, so that each byte is copied a bounded number of times and a peer that
 * announces much and sends little costs little. A length above `maxFrame` is an error before anything is kept.
 */

const { HEADER_BYTES, MAX_FRAME_BYTES } = require('./protocol');
const { ProtocolError } = require('../errors');

class FrameReader {
  /**
   * @param {(type: number, flags: number, buffer: Buffer, start: number, end: number) => void} onFrame keeps nothing of the buffer
   */
  constructor(onFrame) {
    this.onFrame = onFrame;
    this.maxFrame = MAX_FRAME_BYTES;
    this.gathered = null;
    this.gatheredCount = 0;
  }

  /** Takes the next piece; throws `ProtocolError` where the stream is lost. */
  push(piece) {
    let at = 0;
    if (this.gathered !== null) {
      at = this.gather(piece);
      if (this.gathered !== null) return;
    }
    while (piece.length - at >= HEADER_BYTES) {
      const count = this.check(piece, at);
      const end = at + HEADER_BYTES + count;
      if (end > piece.length) break;
      this.onFrame(piece[at + 5], (piece[at + 6] << 8) | piece[at + 7], piece, at + HEADER_BYTES, end);
      at = end;
    }
    if (at < piece.length) {
      this.gatheredCount = piece.length - at;
      this.gathered = Buffer.allocUnsafe(Math.max(this.gatheredCount, 64));
      piece.copy(this.gathered, 0, at);
      if (this.gatheredCount >= 5) this.checkBeginning(this.gathered, 0);
    }
  }

  /** Adds to the frame that is not whole yet, as much as it lacks; gives how much of the piece that was. */
  gather(piece) {
    let at = 0;
    for (;;) {
      const wanted = this.gatheredCount < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this.check(this.gathered, 0);
      const taken = Math.min(wanted - this.gatheredCount, piece.length - at);
      this.makeRoom(this.gatheredCount + taken, wanted);
      piece.copy(this.gathered, this.gatheredCount, at, at + taken);
      this.gatheredCount += taken;
      at += taken;
      if (this.gatheredCount < wanted) return at;
      if (wanted === HEADER_BYTES && this.check(this.gathered, 0) > 0) continue;
      const whole = this.gathered;
      this.gathered = null;
      this.onFrame(whole[5], (whole[6] << 8) | whole[7], whole, HEADER_BYTES, wanted);
      return at;
    }
  }

  makeRoom(count, wanted) {
    if (count <= this.gathered.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.min(Math.max(count, this.gathered.length * 2), Math.max(wanted, count)));
    this.gathered.copy(grown, 0, 0, this.gatheredCount);
    this.gathered = grown;
  }

  /** The length of the payload whose header stands here. */
  check(buffer, at) {
    this.checkBeginning(buffer, at);
    const count = buffer.readUInt32BE(at + 8);
    if (count > this.maxFrame) {
      throw new ProtocolError(`The node announced a frame of ${count} bytes; ${this.maxFrame} are allowed`);
    }
    return count;
  }

  checkBeginning(buffer, at) {
    if (buffer[at] !== 0x4e || buffer[at + 1] !== 0x45 || buffer[at + 2] !== 0x58 || buffer[at + 3] !== 0x41) {
      throw new ProtocolError(`The other side does not speak NEXA: a frame began with ${buffer.toString('hex', at, at + 4)}`);
    }
    if (buffer[at + 4] !== 1) throw new ProtocolError(`The other side speaks version ${buffer[at + 4]} of NEXA, not 1`);
  }
}

module.exports = { FrameReader };
