'use strict';

/** Random numbers from a seed that is printed and may be given (NEXA_TEST_SEED). */

const seed = Number(process.env.NEXA_TEST_SEED ?? Date.now() % 1_000_000);

/** `source(n)` gives a whole number from 0 to below n (mulberry32). */
function random(from) {
  let state = from >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

module.exports = { seed, random };
