'use strict';

/**
 * MessagePack bytes to JavaScript values.
 *
 * The bytes come from somebody else: every length is checked against what is there before anything is allocated, depth is bounded,
 * text that is not UTF-8 is refused, and no key can reach a prototype (`__proto__` becomes an entry like any other). 64-bit
 * integers are numbers while those are exact and BigInts beyond. A map with a key that is no string becomes a `Map`.
 */

const { Extension, Timestamp, DEPTH_MAX } = require('./values');
const { ProtocolError } = require('../errors');
const { KeyCache } = require('./keycache');

const f64 = new Float64Array(1);
const f32 = new Float32Array(1);
const f64Bytes = new Uint8Array(f64.buffer);
const f32Bytes = new Uint8Array(f32.buffer);
const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const TWO_32 = 0x1_0000_0000;
const strictUTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Decoder {
  /**
   * @param {object} [options]
   * @param {'auto' | 'bigint' | 'number'} [options.bigints] `'bigint'`: every 64-bit integer is a BigInt; `'number'`: none is
   * @param {boolean} [options.textKeys] a key that is no string is an error, as on the node
   */
  constructor(options = {}) {
    this.bigints = options.bigints ?? 'auto';
    this.textKeys = options.textKeys ?? false;
    this.keys = new KeyCache();
    this.buffer = Buffer.alloc(0);
    this.position = 0;
    this.end = 0;
  }

  /** The one value that these bytes are; anything behind it is an error. */
  decode(buffer, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.position = start;
    this.end = end;
    const value = this.readValue(0);
    if (this.position !== end) this.fail('bytes stand behind the value');
    return value;
  }

  fail(what) {
    throw new ProtocolError(`Bad MessagePack at byte ${this.position}: ${what}`);
  }

  /** Steps over `count` bytes and gives the place of the first. */
  take(count) {
    const at = this.position;
    if (count > this.end - at) this.fail('the value is cut short');
    this.position = at + count;
    return at;
  }

  readValue(depth) {
    if (this.position >= this.end) this.fail('the value is cut short');
    const byte = this.buffer[this.position++];
    if (byte < 0x80) return byte;
    if (byte < 0x90) return this.readMap(byte & 0x0f, depth);
    if (byte < 0xa0) return this.readArray(byte & 0x0f, depth);
    if (byte < 0xc0) return this.readString(byte & 0x1f);
    if (byte >= 0xe0) return byte - 0x100;
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.readBinary(this.readUInt8());
      case 0xc5:
        return this.readBinary(this.readUInt16());
      case 0xc6:
        return this.readBinary(this.readUInt32());
      case 0xc7:
        return this.readExtension(this.readUInt8());
      case 0xc8:
        return this.readExtension(this.readUInt16());
      case 0xc9:
        return this.readExtension(this.readUInt32());
      case 0xca:
        return this.readFloat32();
      case 0xcb:
        return this.readFloat64();
      case 0xcc:
        return this.readUInt8();
      case 0xcd:
        return this.readUInt16();
      case 0xce:
        return this.readUInt32();
      case 0xcf:
        return this.readUInt64();
      case 0xd0:
        return (this.readUInt8() << 24) >> 24;
      case 0xd1:
        return (this.readUInt16() << 16) >> 16;
      case 0xd2:
        return this.readUInt32() | 0;
      case 0xd3:
        return this.readInt64();
      case 0xd4:
        return this.readExtension(1);
      case 0xd5:
        return this.readExtension(2);
      case 0xd6:
        return this.readExtension(4);
      case 0xd7:
        return this.readExtension(8);
      case 0xd8:
        return this.readExtension(16);
      case 0xd9:
        return this.readString(this.readUInt8());
      case 0xda:
        return this.readString(this.readUInt16());
      case 0xdb:
        return this.readString(this.readUInt32());
      case 0xdc:
        return this.readArray(this.readUInt16(), depth);
      case 0xdd:
        return this.readArray(this.readUInt32(), depth);
      case 0xde:
        return this.readMap(this.readUInt16(), depth);
      case 0xdf:
        return this.readMap(this.readUInt32(), depth);
      default:
        return this.fail('0xc1 begins no value');
    }
  }

  readUInt8() {
    return this.buffer[this.take(1)];
  }

  readUInt16() {
    const at = this.take(2);
    return (this.buffer[at] << 8) | this.buffer[at + 1];
  }

  readUInt32() {
    const at = this.take(4);
    const buffer = this.buffer;
    return ((buffer[at] << 24) | (buffer[at + 1] << 16) | (buffer[at + 2] << 8) | buffer[at + 3]) >>> 0;
  }

  readUInt64() {
    const high = this.readUInt32();
    const low = this.readUInt32();
    if (this.bigints !== 'bigint' && (high < 0x20_0000 || this.bigints === 'number')) return high * TWO_32 + low;
    return (BigInt(high) << 32n) | BigInt(low);
  }

  readInt64() {
    const high = this.readUInt32() | 0;
    const low = this.readUInt32();
    if (this.bigints !== 'bigint') {
      const value = high * TWO_32 + low;
      if (Number.isSafeInteger(value) || this.bigints === 'number') return value;
    }
    return (BigInt(high) << 32n) | BigInt(low);
  }

  readFloat32() {
    const at = this.take(4);
    for (let i = 0; i < 4; i++) f32Bytes[isLittleEndian ? 3 - i : i] = this.buffer[at + i];
    return f32[0];
  }

  readFloat64() {
    const at = this.take(8);
    const buffer = this.buffer;
    if (isLittleEndian) { for (let i = 0; i < 8; i++) f64Bytes[7 - i] = buffer[at + i]; }
    else for (let i = 0; i < 8; i++) f64Bytes[i] = buffer[at + i];
    return f64[0];
  }

  readString(count) {
    const at = this.take(count);
    const buffer = this.buffer;
    const end = at + count;
    let text = '';
    if (count < 12) {
      for (let i = at; i < end; i++) {
        const byte = buffer[i];
        if (byte >= 0x80) return this.longString(at, count);
        text += String.fromCharCode(byte);
      }
      return text;
    }
    if (count > 40) return this.longString(at, count);
    let i = at;
    for (; i + 4 <= end; i += 4) {
      const [a, b, c, d] = [buffer[i], buffer[i + 1], buffer[i + 2], buffer[i + 3]];
      if ((a | b | c | d) >= 0x80) return this.longString(at, count);
      text += String.fromCharCode(a, b, c, d);
    }
    for (; i < end; i++) {
      const byte = buffer[i];
      if (byte >= 0x80) return this.longString(at, count);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  longString(at, count) {
    const text = this.buffer.utf8Slice(at, at + count);
    // Bytes that are not UTF-8 come out as U+FFFD; so does U+FFFD itself, which is seldom enough to be looked at twice.
    if (text.includes('\ufffd')) {
      try {
        return strictUTF8.decode(this.buffer.subarray(at, at + count));
      } catch {
        this.position = at;
        this.fail('text that is not UTF-8');
      }
    }
    return text;
  }

  readBinary(count) {
    const at = this.take(count);
    return Buffer.from(this.buffer.subarray(at, at + count));
  }

  readArray(count, depth) {
    if (depth >= DEPTH_MAX) this.fail(`nesting deeper than ${DEPTH_MAX}`);
    if (count > this.end - this.position) this.fail('the array is cut short');
    const values = new Array(count);
    for (let i = 0; i < count; i++) values[i] = this.readValue(depth + 1);
    return values;
  }

  readMap(count, depth) {
    if (depth >= DEPTH_MAX) this.fail(`nesting deeper than ${DEPTH_MAX}`);
    if (count > (this.end - this.position) / 2) this.fail('the map is cut short');
    const object = {};
    for (let i = 0; i < count; i++) {
      const byte = this.position < this.end ? this.buffer[this.position] : 0xc1;
      let key;
      if ((byte & 0xe0) === 0xa0) {
        const length = byte & 0x1f;
        this.position++;
        const at = this.take(length);
        key = this.keys.find(this.buffer, at, length) ?? this.rareKey(at, length);
      } else if (byte >= 0xd9 && byte <= 0xdb) {
        key = this.readValue(depth + 1);
      } else {
        return this.readEntries(object, count - i, depth);
      }
      if (key === '__proto__') setOwn(object, key, this.readValue(depth + 1));
      else object[key] = this.readValue(depth + 1);
    }
    return object;
  }

  rareKey(at, length) {
    this.position = at;
    const key = this.readString(length);
    this.keys.keep(this.buffer, at, length, key);
    return key;
  }

  /** The rest of a map in which a key that is no string was met; the entries so far are taken along. */
  readEntries(object, count, depth) {
    if (this.textKeys) this.fail('a key that is no text');
    const map = new Map(Object.entries(object));
    for (let i = 0; i < count; i++) {
      const key = this.readValue(depth + 1);
      map.set(key, this.readValue(depth + 1));
    }
    return map;
  }

  readExtension(count) {
    const type = (this.readUInt8() << 24) >> 24;
    if (type === -1) return this.readTimestamp(count);
    return new Extension(type, this.readBinary(count));
  }

  readTimestamp(count) {
    let seconds;
    let nanoseconds = 0;
    if (count === 4) {
      seconds = this.readUInt32();
    } else if (count === 8) {
      const high = this.readUInt32();
      seconds = (high & 3) * TWO_32 + this.readUInt32();
      nanoseconds = high >>> 2;
    } else if (count === 12) {
      nanoseconds = this.readUInt32();
      const at = this.take(8);
      const wide = this.buffer.readBigInt64BE(at);
      seconds = wide >= Number.MIN_SAFE_INTEGER && wide <= Number.MAX_SAFE_INTEGER ? Number(wide) : wide;
    } else {
      this.fail('a timestamp has 4, 8 or 12 bytes');
    }
    if (nanoseconds > 999_999_999) this.fail('a timestamp with more than 999999999 nanoseconds');
    if (nanoseconds % 1e6 === 0 && typeof seconds === 'number') {
      const date = new Date(seconds * 1000 + nanoseconds / 1e6);
      if (!Number.isNaN(date.getTime())) return date;
    }
    return new Timestamp(seconds, nanoseconds);
  }
}

function setOwn(object, key, value) {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

module.exports = { Decoder };
