'use strict';

/** What MessagePack has and JavaScript lacks: extension values, and points in time finer or farther than a `Date`. */

/** An extension value, given back bit for bit. */
class Extension {
  /** @param {number} type -128 to 127 @param {Uint8Array} data */
  constructor(type, data) {
    if (!Number.isInteger(type) || type < -128 || type > 127) throw new RangeError('an extension type is -128 to 127');
    this.type = type;
    this.data = data;
  }
}

/** A point in time that no `Date` can hold: nanoseconds, or seconds beyond its range. */
class Timestamp {
  /** @param {number | bigint} seconds since 1970, 64 bits signed @param {number} nanoseconds 0 to 999,999,999 */
  constructor(seconds, nanoseconds = 0) {
    if (!Number.isInteger(nanoseconds) || nanoseconds < 0 || nanoseconds > 999_999_999) {
      throw new RangeError('nanoseconds are 0 to 999999999');
    }
    if (typeof seconds !== 'bigint' && !Number.isSafeInteger(seconds)) throw new RangeError('seconds are a whole number');
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
  }

  /** The nearest earlier `Date`; invalid where it lies beyond. */
  toDate() {
    return new Date(Number(this.seconds) * 1000 + Math.floor(this.nanoseconds / 1e6));
  }
}

/** The most levels of arrays and maps within each other, as on the node. */
const DEPTH_MAX = 100;

module.exports = { Extension, Timestamp, DEPTH_MAX };
