'use strict';

/** What a database, a collection and a key may be called (docs/protocol.md, "Limits"). */

const { ValidationError, TooLargeError } = require('./errors');

const KEY_BYTES_MAX = 1024;

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,119}$/;

/** @param {unknown} name @param {string} what */
function checkName(name, what = 'collection') {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new ValidationError(`A ${what} is a name of letters, digits, '_', '.' and '-', at most 120: ${show(name)}`, {
      details: { field: what },
    });
  }
  return name;
}

function checkKey(key) {
  if (typeof key !== 'string' || key === '') {
    throw new ValidationError(`A key is text: ${show(key)}`, { details: { field: 'key' } });
  }
  if (key.length > 341 && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    throw new TooLargeError(`A key has at most ${KEY_BYTES_MAX} bytes: ${show(key)}...`, {
      details: { field: 'key', limit: KEY_BYTES_MAX },
    });
  }
  return key;
}

function checkMap(value, what) {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof Date) {
    throw new ValidationError(`${what} is a map: ${show(value)}`);
  }
  return value;
}

function show(value) {
  if (typeof value === 'string') return `'${value.slice(0, 60)}'`;
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

module.exports = { NAME, checkName, checkKey, checkMap };
