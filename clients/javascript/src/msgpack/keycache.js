'use strict';

/**
 * Names of fields come again and again: this gives the string for bytes that were seen before, without decoding them.
 *
 * A table of fixed size, one name a place, the last one wins; so what a peer sends can neither grow it nor make it slow.
 */

const PLACES = 1024;

class KeyCache {
  constructor() {
    this.texts = new Array(PLACES).fill(undefined);
    this.bytes = new Array(PLACES).fill(undefined);
  }

  place(buffer, at, length) {
    if (length === 0) return 0;
    // The second byte tells `_created_at` and `_updated_at` apart, which every document has.
    const second = length === 1 ? 0 : buffer[at + 1];
    return (length + buffer[at] * 31 + second * 61 + buffer[at + (length >> 1)] * 131 + buffer[at + length - 1] * 733) &
      (PLACES - 1);
  }

  /** The text of these bytes, or undefined. */
  find(buffer, at, length) {
    const place = this.place(buffer, at, length);
    const known = this.bytes[place];
    if (known === undefined || known.length !== length) return undefined;
    for (let i = 0; i < length; i++) if (known[i] !== buffer[at + i]) return undefined;
    return this.texts[place];
  }

  keep(buffer, at, length, text) {
    const place = this.place(buffer, at, length);
    this.bytes[place] = Uint8Array.prototype.slice.call(buffer, at, at + length);
    this.texts[place] = text;
  }
}

module.exports = { KeyCache };
