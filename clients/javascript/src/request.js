'use strict';

/**
 * Builds the payload of a request: entries of a map, encoded once and at the time of the call, so that what the caller changes
 * later changes nothing that is sent, sent again or waits. The count of entries is kept apart, because some are added when it is
 * sent.
 */

const { Encoder } = require('./msgpack/encoder');
const { ValidationError } = require('./errors');

const SLAB_BYTES = 32 << 10;

class RequestWriter {
  constructor() {
    this.encoder = new Encoder(1024);
    this.count = 0;
    this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.slabUsed = 0;
  }

  start() {
    this.encoder.reset();
    this.count = 0;
    return this;
  }

  text(name, text) {
    this.count++;
    this.encoder.writeString(name);
    this.encoder.writeString(text);
    return this;
  }

  /** An entry, unless its value is undefined. */
  value(name, value) {
    if (value === undefined) return this;
    this.count++;
    this.encoder.writeString(name);
    this.encoder.writeValue(value, 1);
    return this;
  }

  /** A list whose elements are encoded already. @param {Buffer[]} elements */
  encodedList(name, elements) {
    const { encoder } = this;
    this.count++;
    encoder.writeString(name);
    encoder.writeArrayHeader(elements.length);
    for (const element of elements) {
      encoder.reserve(element.length);
      element.copy(encoder.buffer, encoder.position);
      encoder.position += element.length;
    }
    return this;
  }

  /**
   * Hands the entries to their operation, at a place where nothing writes any more until it settles: small ones lie one behind the
   * other in a slab.
   */
  finish(operation) {
    const { buffer, position } = this.encoder;
    operation.entryCount = this.count;
    if (position > SLAB_BYTES >> 3) {
      operation.body = Buffer.from(buffer.subarray(0, position));
      operation.bodyEnd = position;
      return;
    }
    if (this.slabUsed + position > SLAB_BYTES) {
      this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.slabUsed = 0;
    }
    copyBytes(buffer, 0, position, this.slab, this.slabUsed);
    operation.body = this.slab;
    operation.bodyStart = this.slabUsed;
    operation.bodyEnd = this.slabUsed += position;
  }
}

/** As `Buffer.copy`, which costs more than a few bytes do. */
function copyBytes(source, start, end, target, at) {
  if (end - start > 96) {
    source.copy(target, at, start, end);
    return;
  }
  for (let i = start; i < end; i++) target[at++] = source[i];
}

const none = Object.freeze({});
const readOptions = new Set(['timeoutMS', 'signal', 'readPreference', 'readConcern', 'maxStalenessSeconds', 'database']);
const writeOptions = new Set(['timeoutMS', 'signal', 'durability', 'w', 'wtimeoutMS', 'database']);

/** Refuses options that mean nothing here: a misspelt one would be silently without effect. */
function checkOptions(options, common, more) {
  if (options === none) return;
  for (const name of Object.keys(options)) {
    if (!common.has(name) && !more.includes(name)) throw new ValidationError(`The option ${name} is not known here`);
  }
}

module.exports = { RequestWriter, copyBytes, none, readOptions, writeOptions, checkOptions };
