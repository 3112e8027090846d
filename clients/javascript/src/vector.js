'use strict';

/** Vectors travel as float32, little-endian, in a `bin`: 4 bytes a dimension in place of 9. */

const { ValidationError } = require('./errors');

const DIMENSIONS_MAX = 65_535;

/**
 * @param {ArrayLike<number>} vector
 * @returns {Float32Array}
 */
function toFloat32(vector) {
  const isArray = Array.isArray(vector) || (ArrayBuffer.isView(vector) && !(vector instanceof DataView));
  if (!isArray || vector.length === 0 || vector.length > DIMENSIONS_MAX) {
    throw new ValidationError(`A vector is an array of 1 to ${DIMENSIONS_MAX} numbers`, { details: { field: 'vector' } });
  }
  const floats = vector instanceof Float32Array ? vector : Float32Array.from(vector);
  for (let i = 0; i < floats.length; i++) {
    if (!Number.isFinite(floats[i])) {
      throw new ValidationError(`Element ${i} of the vector is no finite number`, { details: { field: 'vector' } });
    }
  }
  return floats;
}

/** The numbers of a vector that was read back as bytes. @param {Uint8Array} bytes @returns {Float32Array} */
function fromBytes(bytes) {
  if (bytes.length % 4 !== 0) throw new ValidationError('A vector has 4 bytes a dimension');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
}

module.exports = { toFloat32, fromBytes };
