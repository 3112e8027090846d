'use strict';

/**
 * JavaScript values to MessagePack bytes.
 *
 * One growing buffer that is used again; every form is the shortest there is. Whole numbers up to 2^53 are integers, all other
 * numbers float64, `-0` among them; a BigInt is an integer of up to 64 bits. `undefined` is left out of maps and nil in arrays.
 * What has no meaning (functions, symbols, text that is not Unicode, cycles) is refused rather than guessed.
 */

const { Extension, Timestamp, DEPTH_MAX } = require('./values');
const { ValidationError } = require('../errors');

const f64 = new Float64Array(1);
const f64Bytes = new Uint8Array(f64.buffer);
const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const TWO_32 = 0x1_0000_0000;
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const plainPrototype = Object.prototype;

class Encoder {
  constructor(size = 1024) {
    this.buffer = Buffer.allocUnsafe(size);
    this.position = 0;
  }

  /** The bytes written so far, as a copy of their own. */
  copy() {
    const bytes = Buffer.allocUnsafe(this.position);
    this.buffer.copy(bytes, 0, 0, this.position);
    return bytes;
  }

  /** Forgets what was written; a buffer that grew far is given up. */
  reset() {
    this.position = 0;
    if (this.buffer.length > 1 << 20) this.buffer = Buffer.allocUnsafe(1024);
  }

  /** Makes room for `count` more bytes. */
  reserve(count) {
    const needed = this.position + count;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.position);
    this.buffer = grown;
  }

  writeValue(value, depth = 0) {
    switch (typeof value) {
      case 'string':
        return this.writeString(value);
      case 'number':
        return this.writeNumber(value);
      case 'boolean':
        this.reserve(1);
        this.buffer[this.position++] = value ? 0xc3 : 0xc2;
        return;
      case 'undefined':
        return this.writeNil();
      case 'bigint':
        return this.writeBigInt(value);
      case 'object':
        if (value === null) return this.writeNil();
        if (depth >= DEPTH_MAX && isContainer(value)) {
          throw new ValidationError(`The value is nested deeper than ${DEPTH_MAX} levels, or contains itself`);
        }
        if (Array.isArray(value)) return this.writeArray(value, depth + 1);
        return this.writeObject(value, depth + 1);
      default:
        throw new ValidationError(`A ${typeof value} cannot be stored`);
    }
  }

  writeNil() {
    this.reserve(1);
    this.buffer[this.position++] = 0xc0;
  }

  writeNumber(value) {
    this.reserve(9);
    const buffer = this.buffer;
    let at = this.position;
    if (value === (value | 0) && (value !== 0 || 1 / value > 0)) {
      if (value >= 0) {
        if (value < 0x80) {
          buffer[at++] = value;
        } else if (value < 0x100) {
          buffer[at++] = 0xcc;
          buffer[at++] = value;
        } else if (value < 0x10000) {
          buffer[at++] = 0xcd;
          buffer[at++] = value >> 8;
          buffer[at++] = value;
        } else {
          buffer[at++] = 0xce;
          at = put32(buffer, at, value);
        }
      } else if (value >= -0x20) {
        buffer[at++] = value;
      } else if (value >= -0x80) {
        buffer[at++] = 0xd0;
        buffer[at++] = value;
      } else if (value >= -0x8000) {
        buffer[at++] = 0xd1;
        buffer[at++] = value >> 8;
        buffer[at++] = value;
      } else {
        buffer[at++] = 0xd2;
        at = put32(buffer, at, value);
      }
    } else if (Number.isSafeInteger(value) && value !== 0) {
      if (value >= 0 && value < TWO_32) {
        buffer[at++] = 0xce;
        at = put32(buffer, at, value);
      } else {
        buffer[at++] = value >= 0 ? 0xcf : 0xd3;
        at = put32(buffer, at, Math.floor(value / TWO_32));
        at = put32(buffer, at, value);
      }
    } else {
      f64[0] = value;
      buffer[at++] = 0xcb;
      if (isLittleEndian) { for (let i = 7; i >= 0; i--) buffer[at++] = f64Bytes[i]; }
      else for (let i = 0; i < 8; i++) buffer[at++] = f64Bytes[i];
    }
    this.position = at;
  }

  writeBigInt(value) {
    if (value >= -0x8000_0000n && value < 0x1_0000_0000n) return this.writeNumber(Number(value));
    this.reserve(9);
    if (value >= 0n) {
      if (value > 0xffff_ffff_ffff_ffffn) throw new ValidationError('An integer has at most 64 bits');
      this.buffer[this.position] = 0xcf;
      this.buffer.writeBigUInt64BE(value, this.position + 1);
    } else {
      if (value < -0x8000_0000_0000_0000n) throw new ValidationError('An integer has at most 64 bits');
      this.buffer[this.position] = 0xd3;
      this.buffer.writeBigInt64BE(value, this.position + 1);
    }
    this.position += 9;
  }

  writeString(text) {
    const length = text.length;
    if (length >= 64) return this.writeLongString(text);
    this.reserve(2 + length * 3);
    const buffer = this.buffer;
    const start = this.position;
    let at = start + (length < 32 ? 1 : 2);
    const first = at;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) return this.writeLongString(text);
      buffer[at++] = unit;
    }
    if (first === start + 1) {
      buffer[start] = 0xa0 | length;
    } else {
      buffer[start] = 0xd9;
      buffer[start + 1] = length;
    }
    this.position = at;
  }

  writeLongString(text) {
    if (text.isWellFormed ? !text.isWellFormed() : loneSurrogate.test(text)) {
      throw new ValidationError('Text with half a surrogate pair is not Unicode and cannot be stored');
    }
    const count = Buffer.byteLength(text);
    this.reserve(5 + count);
    if (count < 32) this.buffer[this.position++] = 0xa0 | count;
    else this.writeLength(count, 0xd9, 0xda, 0xdb);
    this.buffer.write(text, this.position, count, 'utf8');
    this.position += count;
  }

  /** A length behind the first byte of the 8, 16 or 32 bit form; room is there. */
  writeLength(count, code8, code16, code32) {
    if (count < 0x100 && code8 !== 0) {
      this.buffer[this.position++] = code8;
      this.buffer[this.position++] = count;
    } else if (count < 0x10000) {
      this.buffer[this.position++] = code16;
      this.buffer[this.position++] = count >> 8;
      this.buffer[this.position++] = count;
    } else if (count < TWO_32) {
      this.buffer[this.position++] = code32;
      this.position = put32(this.buffer, this.position, count);
    } else {
      throw new ValidationError('A value has at most 4 GiB');
    }
  }

  writeArrayHeader(count) {
    this.reserve(5);
    if (count < 16) this.buffer[this.position++] = 0x90 | count;
    else this.writeLength(count, 0, 0xdc, 0xdd);
  }

  writeMapHeader(count) {
    this.reserve(5);
    if (count < 16) this.buffer[this.position++] = 0x80 | count;
    else this.writeLength(count, 0, 0xde, 0xdf);
  }

  writeArray(values, depth) {
    this.writeArrayHeader(values.length);
    for (let i = 0; i < values.length; i++) this.writeValue(values[i], depth);
  }

  writeObject(value, depth) {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === plainPrototype || prototype === null) return this.writeMap(value, depth);
    if (value instanceof Uint8Array) return this.writeBinary(value);
    if (value instanceof Date) return this.writeDate(value);
    if (value instanceof Map) return this.writeEntries(value, depth);
    if (value instanceof Timestamp) return this.writeTimestamp(BigInt(value.seconds), value.nanoseconds);
    if (value instanceof Extension) return this.writeExtension(value.type, value.data);
    if (value instanceof Float32Array) return this.writeBinary(float32Bytes(value));
    if (value instanceof ArrayBuffer) return this.writeBinary(new Uint8Array(value));
    if (value instanceof DataView) return this.writeBinary(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    if (ArrayBuffer.isView(value) || value instanceof Set || value instanceof RegExp || value instanceof Promise) {
      throw new ValidationError(`A ${value.constructor.name} has no form of its own: make it an array, a map or a Uint8Array`);
    }
    if (typeof value.toJSON === 'function') return this.writeValue(value.toJSON(), depth);
    return this.writeMap(value.valueOf() === value ? value : this.refuse(value), depth);
  }

  refuse(value) {
    throw new ValidationError(`A ${value.constructor?.name ?? 'wrapped value'} object cannot be stored`);
  }

  /** A map of an object's own entries, in their order, without those that are undefined. */
  writeMap(object, depth) {
    const names = Object.keys(object);
    let count = names.length;
    for (let i = 0; i < names.length; i++) if (object[names[i]] === undefined) count--;
    this.writeMapHeader(count);
    let written = 0;
    for (let i = 0; i < names.length; i++) {
      const value = object[names[i]];
      if (value === undefined) continue;
      this.writeString(names[i]);
      this.writeValue(value, depth);
      written++;
    }
    if (written !== count) throw new ValidationError('An object changed while it was read');
  }

  writeEntries(map, depth) {
    this.writeMapHeader(map.size);
    for (const [key, value] of map) {
      this.writeValue(key, depth);
      this.writeValue(value, depth);
    }
  }

  writeBinary(bytes) {
    this.reserve(5 + bytes.length);
    this.writeLength(bytes.length, 0xc4, 0xc5, 0xc6);
    this.buffer.set(bytes, this.position);
    this.position += bytes.length;
  }

  writeDate(date) {
    const milliseconds = date.getTime();
    if (Number.isNaN(milliseconds)) throw new ValidationError('An invalid Date cannot be stored');
    const seconds = Math.floor(milliseconds / 1000);
    this.writeTimestamp(BigInt(seconds), (milliseconds - seconds * 1000) * 1e6);
  }

  writeTimestamp(seconds, nanoseconds) {
    this.reserve(15);
    const buffer = this.buffer;
    const at = this.position;
    if (seconds >= 0n && seconds < 0x1_0000_0000n && nanoseconds === 0) {
      buffer[at] = 0xd6;
      buffer[at + 1] = 0xff;
      this.position = put32(buffer, at + 2, Number(seconds));
    } else if (seconds >= 0n && seconds < 0x4_0000_0000n) {
      buffer[at] = 0xd7;
      buffer[at + 1] = 0xff;
      buffer.writeBigUInt64BE((BigInt(nanoseconds) << 34n) | seconds, at + 2);
      this.position = at + 10;
    } else {
      buffer[at] = 0xc7;
      buffer[at + 1] = 12;
      buffer[at + 2] = 0xff;
      put32(buffer, at + 3, nanoseconds);
      buffer.writeBigInt64BE(seconds, at + 7);
      this.position = at + 15;
    }
  }

  writeExtension(type, data) {
    const count = data.length;
    this.reserve(6 + count);
    const fixed = fixedExtension(count);
    if (fixed !== 0) this.buffer[this.position++] = fixed;
    else this.writeLength(count, 0xc7, 0xc8, 0xc9);
    this.buffer[this.position++] = type;
    this.buffer.set(data, this.position);
    this.position += count;
  }
}

/** Only what holds further values takes a level; a Date or bytes do not. */
function isContainer(value) {
  return !(value instanceof Uint8Array || value instanceof Date || value instanceof Timestamp || value instanceof Extension ||
    value instanceof ArrayBuffer || ArrayBuffer.isView(value));
}

function put32(buffer, at, value) {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
  return at + 4;
}

function fixedExtension(count) {
  switch (count) {
    case 1:
      return 0xd4;
    case 2:
      return 0xd5;
    case 4:
      return 0xd6;
    case 8:
      return 0xd7;
    case 16:
      return 0xd8;
    default:
      return 0;
  }
}

/** The bytes of a vector, little-endian whatever this machine is. @param {Float32Array} vector */
function float32Bytes(vector) {
  if (isLittleEndian) return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  const bytes = new Uint8Array(vector.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < vector.length; i++) view.setFloat32(i * 4, vector[i], true);
  return bytes;
}

module.exports = { Encoder, float32Bytes };
