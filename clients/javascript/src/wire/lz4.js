'use strict';

/**
 * The LZ4 block format: what travels under the flag COMPRESSED.
 *
 *     token | literals' length... | literals | distance (u16 LE) | match's length...
 *     token: 4 bits of each length; 15: more bytes follow
 *
 * `decompress` believes nothing: it writes exactly `rawLength` bytes or throws, and reads only what is there. `compress` is the
 * greedy search over a table of the last place of every four bytes; it gives up (null) where the result would not fit in `room`.
 */

const { ProtocolError } = require('../errors');

const MIN_MATCH = 4;
/** The last five bytes are always literals, and no match begins in the last twelve. */
const LAST_LITERALS = 5;
const MATCH_LIMIT = 12;
const MAX_DISTANCE = 65_535;
const HASH_BITS = 13;

/** @returns {Buffer} the `rawLength` bytes that the block holds */
function decompress(block, start, end, rawLength) {
  const out = Buffer.allocUnsafe(rawLength);
  let at = start;
  let written = 0;
  for (;;) {
    if (at >= end) fail('it ends early');
    const token = block[at++];
    let literals = token >> 4;
    if (literals === 15) {
      for (let byte = 255; byte === 255;) {
        if (at >= end) fail('it ends early');
        byte = block[at++];
        literals += byte;
      }
    }
    if (literals > end - at || literals > rawLength - written) fail('literals reach beyond the end');
    if (literals > 32) block.copy(out, written, at, at + literals);
    else for (let i = 0; i < literals; i++) out[written + i] = block[at + i];
    at += literals;
    written += literals;
    if (at === end) break;
    if (end - at < 2) fail('it ends early');
    const distance = block[at] | (block[at + 1] << 8);
    at += 2;
    let length = (token & 15) + MIN_MATCH;
    if ((token & 15) === 15) {
      for (let byte = 255; byte === 255;) {
        if (at >= end) fail('it ends early');
        byte = block[at++];
        length += byte;
      }
    }
    if (distance === 0 || distance > written) fail('a match points before the beginning');
    if (length > rawLength - written) fail('a match reaches beyond the end');
    if (distance >= length && length > 32) out.copy(out, written, written - distance, written - distance + length);
    else for (let i = 0; i < length; i++) out[written + i] = out[written + i - distance];
    written += length;
  }
  if (written !== rawLength) fail(`it holds ${written} bytes, not ${rawLength}`);
  return out;
}

function fail(what) {
  throw new ProtocolError(`Bad LZ4 block: ${what}`);
}

/**
 * @param {Buffer} source @param {number} start @param {number} end
 * @param {number} room the most bytes that the block may have
 * @returns {Buffer | null}
 */
function compress(source, start, end, room) {
  const out = Buffer.allocUnsafe(room);
  const table = new Int32Array(1 << HASH_BITS).fill(-1);
  let written = 0;
  let anchor = start;
  let at = start;
  const limit = end - MATCH_LIMIT;
  let misses = 0;
  while (at <= limit) {
    const word = source[at] | (source[at + 1] << 8) | (source[at + 2] << 16) | (source[at + 3] << 24);
    const place = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
    const candidate = table[place];
    table[place] = at;
    if (candidate < 0 || at - candidate > MAX_DISTANCE || !sameFour(source, candidate, at)) {
      // What does not repeat is passed over faster and faster.
      at += 1 + (misses++ >> 6);
      continue;
    }
    misses = 0;
    let length = MIN_MATCH;
    const longest = end - LAST_LITERALS - at;
    while (length < longest && source[candidate + length] === source[at + length]) length++;
    written = sequence(source, anchor, at, out, written, at - candidate, length);
    if (written < 0) return null;
    at += length;
    anchor = at;
  }
  written = sequence(source, anchor, end, out, written, 0, 0);
  return written < 0 ? null : out.subarray(0, written);
}

function sameFour(source, a, b) {
  return source[a] === source[b] && source[a + 1] === source[b + 1] && source[a + 2] === source[b + 2] &&
    source[a + 3] === source[b + 3];
}

/** Writes literals `from..<to` and a match; `length` 0: the last sequence. Gives the new end, or -1 where there is no room. */
function sequence(source, from, to, out, written, distance, length) {
  const literals = to - from;
  const needed = 1 + literals + Math.ceil(literals / 255) + 3 + Math.ceil(length / 255);
  if (needed > out.length - written) return -1;
  const token = written++;
  written = extend(out, written, literals);
  source.copy(out, written, from, to);
  written += literals;
  out[token] = Math.min(literals, 15) << 4;
  if (length === 0) return written;
  out[written++] = distance;
  out[written++] = distance >> 8;
  out[token] |= Math.min(length - MIN_MATCH, 15);
  return extend(out, written, length - MIN_MATCH);
}

function extend(out, at, length) {
  if (length < 15) return at;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) out[at++] = 255;
  out[at++] = rest;
  return at;
}

module.exports = { compress, decompress };
