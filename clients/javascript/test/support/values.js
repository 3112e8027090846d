'use strict';

/** Values as clients/conformance/README.md writes them in JSON: what they mean, and whether an expectation holds. */

const floats = { nan: NaN, inf: Infinity, '-inf': -Infinity };

/** The value that is meant. @param {Record<string, unknown>} saved what `$ref`, `$c` and `$d` stand for */
function plain(written, saved) {
  if (typeof written === 'string') return Object.hasOwn(saved, written) && written.startsWith('$') ? saved[written] : written;
  if (written === null || typeof written !== 'object') return written;
  if (Array.isArray(written)) return written.map((one) => plain(one, saved));
  const [[sign, argument] = []] = Object.entries(written);
  switch (Object.keys(written).length === 1 ? sign : undefined) {
    case '$int':
      return Number.isSafeInteger(Number(argument)) ? Number(argument) : BigInt(argument);
    case '$float':
      return Object.hasOwn(floats, argument) ? floats[argument] : Number(argument);
    case '$bin':
      return Buffer.from(argument, 'hex');
    case '$vector':
      return Float32Array.from(argument);
    case '$repeat':
      return argument[0].repeat(argument[1]);
    case '$nest':
      return Array.from({ length: argument }).reduce((inner) => ({ a: inner }), 1);
    case '$documents':
      return Array.from({ length: argument }, (_, n) => ({ n }));
    case '$ref':
      return saved[argument];
    default:
  }
  const map = {};
  for (const [name, one] of Object.entries(written)) {
    Object.defineProperty(map, name, { value: plain(one, saved), enumerable: true, configurable: true, writable: true });
  }
  return map;
}

/** Whether `actual` is what `written` expects. */
function holds(actual, written, saved) {
  if (written !== null && typeof written === 'object' && !Array.isArray(written) && Object.keys(written).length === 1) {
    const [[sign, argument]] = Object.entries(written);
    switch (sign) {
      case '$any':
        return actual !== undefined && actual !== null;
      case '$like':
        return actual !== null && typeof actual === 'object' && Object.entries(argument).every(([name, one]) => (
          one?.$absent === true ? !Object.hasOwn(actual, name) : Object.hasOwn(actual, name) && holds(actual[name], one, saved)
        ));
      case '$unordered':
        return Array.isArray(actual) && actual.length === argument.length && isMatching(actual, argument, saved);
      case '$near':
        return typeof actual === 'number' && Math.abs(actual - argument) < 1e-5;
      case '$count':
        return Array.isArray(actual) && actual.length === argument;
      case '$contains':
        return argument.every((one) => actual.some((each) => holds(each, one, saved)));
      case '$lacks':
        return argument.every((one) => !actual.some((each) => holds(each, one, saved)));
      default:
    }
  }
  if (Array.isArray(written)) {
    return Array.isArray(actual) && actual.length === written.length && written.every((one, i) => holds(actual[i], one, saved));
  }
  const meant = plain(written, saved);
  if (meant instanceof Uint8Array) return actual instanceof Uint8Array && Buffer.compare(meant, actual) === 0;
  if (meant === null || typeof meant !== 'object') return Object.is(actual, meant);
  if (actual === null || typeof actual !== 'object' || Array.isArray(actual)) return false;
  const names = Object.keys(meant);
  return Object.keys(actual).length === names.length &&
    names.every((name) => Object.hasOwn(actual, name) && holds(actual[name], ownEntry(written, name, meant), saved));
}

/** The written form of an entry; `$nest` and the like have only the meant one. */
function ownEntry(written, name, meant) {
  return Object.hasOwn(written, name) ? written[name] : meant[name];
}

/** Whether each expected element can be given an actual one of its own; lists here are short and elements differ. */
function isMatching(actual, expected, saved) {
  const free = [...actual];
  return expected.every((one) => {
    const index = free.findIndex((each) => holds(each, one, saved));
    return index >= 0 && free.splice(index, 1).length === 1;
  });
}

module.exports = { plain, holds };
