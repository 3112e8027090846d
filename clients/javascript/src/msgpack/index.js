'use strict';

/** MessagePack as a pair of functions, for those who want only that. */

const { Encoder } = require('./encoder');
const { Decoder } = require('./decoder');
const { Extension, Timestamp } = require('./values');

/** The bytes of a value. @returns {Buffer} */
function encode(value) {
  const encoder = new Encoder(256);
  encoder.writeValue(value);
  return encoder.copy();
}

/**
 * The value of these bytes.
 * @param {Uint8Array} bytes
 * @param {{bigints?: 'auto' | 'bigint' | 'number'}} [options]
 */
function decode(bytes, options) {
  return new Decoder(options).decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

module.exports = { encode, decode, Encoder, Decoder, Extension, Timestamp };
