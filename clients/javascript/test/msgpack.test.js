'use strict';

const { describe, it } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { encode, decode, Extension, Timestamp, ProtocolError, ValidationError } = require('..');
const { Decoder } = require('../src/msgpack');
const { KeyCache } = require('../src/msgpack/keycache');
const { root, python } = require('./support/node');
const { seed, random } = require('./support/random');

const hex = (value) => encode(value).toString('hex');
const from = (text, options) => decode(Buffer.from(text.replaceAll(' ', ''), 'hex'), options);

describe('numbers', () => {
  const shortest = {
    0: '00',
    127: '7f',
    128: 'cc80',
    255: 'ccff',
    256: 'cd0100',
    65_535: 'cdffff',
    65_536: 'ce00010000',
    2_147_483_648: 'ce80000000',
    4_294_967_295: 'ceffffffff',
    4_294_967_296: 'cf0000000100000000',
    5_000_000_000: 'cf000000012a05f200',
    9_007_199_254_740_991: 'cf001fffffffffffff',
    '-1': 'ff',
    '-32': 'e0',
    '-33': 'd0df',
    '-128': 'd080',
    '-129': 'd1ff7f',
    '-32768': 'd18000',
    '-32769': 'd2ffff7fff',
    '-2147483648': 'd280000000',
    '-2147483649': 'd3ffffffff7fffffff',
    '-9007199254740991': 'd3ffe0000000000001',
    0.5: 'cb3fe0000000000000',
    1e300: 'cb7e37e43c8800759c',
  };
  for (const [text, bytes] of Object.entries(shortest)) {
    it(`${text} is ${bytes}, and back`, () => {
      assert.equal(hex(Number(text)), bytes);
      assert.equal(from(bytes), Number(text));
    });
  }

  it('keeps the sign of zero, infinities and NaN', () => {
    assert.equal(hex(-0), 'cb8000000000000000');
    for (const value of [-0, Infinity, -Infinity, NaN]) assert.ok(Object.is(decode(encode(value)), value));
  });

  it('reads every form of an integer, short or not', () => {
    for (
      const bytes of [
        '05',
        'cc05',
        'cd0005',
        'ce00000005',
        'cf0000000000000005',
        'd005',
        'd10005',
        'd200000005',
        'd30000000000000005',
      ]
    ) assert.equal(from(bytes), 5);
    assert.equal(from('d3ffffffffffffffff'), -1);
    assert.equal(from('ca3f800000'), 1);
  });

  it('gives 64 bits exactly: a number while it is safe, else a BigInt', () => {
    const cases = [
      ['cf001fffffffffffff', 2 ** 53 - 1],
      ['cf0020000000000000', 2n ** 53n],
      ['cfffffffffffffffff', 2n ** 64n - 1n],
      ['d38000000000000000', -(2n ** 63n)],
      ['d3ffe0000000000001', -(2 ** 53 - 1)],
      ['d3ffe0000000000000', -(2n ** 53n)],
    ];
    for (const [bytes, value] of cases) {
      assert.equal(from(bytes), value);
      assert.equal(hex(value), bytes);
    }
  });

  it('has BigInts for all, or for none', () => {
    assert.equal(from('cf0000000000000005', { bigints: 'bigint' }), 5n);
    assert.equal(from('d3fffffffffffffffb', { bigints: 'bigint' }), -5n);
    assert.equal(from('05', { bigints: 'bigint' }), 5);
    assert.equal(from('cfffffffffffffffff', { bigints: 'number' }), 2 ** 64);
  });

  it('refuses a BigInt of more than 64 bits', () => {
    assert.throws(() => encode(2n ** 64n), ValidationError);
    assert.throws(() => encode(-(2n ** 63n) - 1n), ValidationError);
    assert.equal(hex(5n), '05');
  });
});

describe('text', () => {
  it('has the shortest header for its bytes', () => {
    for (
      const [text, header] of [
        ['', 'a0'],
        ['a'.repeat(31), 'bf'],
        ['a'.repeat(32), 'd920'],
        ['ä'.repeat(15), 'be'],
        ['ä'.repeat(16), 'd920'],
        ['a'.repeat(255), 'd9ff'],
        ['a'.repeat(256), 'da0100'],
        ['a'.repeat(65_536), 'db00010000'],
      ]
    ) {
      assert.ok(hex(text).startsWith(header), header);
      assert.equal(decode(encode(text)), text);
    }
  });

  it('is UTF-8 beyond the basic plane', () => assert.equal(hex('😀'), 'a4f09f9880'));

  it('refuses half a surrogate pair, short and long', () => {
    for (const text of ['\ud800', 'a\udc00', '\ud800x'.padEnd(100, 'y')]) assert.throws(() => encode(text), ValidationError);
  });

  it('refuses bytes that are no UTF-8, and keeps U+FFFD itself', () => {
    for (const bytes of ['a1ff', 'a2c080', 'a3eda080', 'a4f4908080', 'a1c3', `d920${'ff'.repeat(32)}`]) {
      assert.throws(() => from(bytes), ProtocolError);
    }
    assert.equal(decode(encode('\ufffd')), '\ufffd');
    assert.equal(decode(encode('\ufeffx')), '\ufeffx');
  });
});

describe('maps and lists', () => {
  it('leaves undefined out of maps and makes it nil in lists', () => {
    assert.equal(hex({ a: undefined, b: 1 }), '81a16201');
    assert.equal(hex([undefined]), '91c0');
  });

  it('reaches no prototype', () => {
    const value = from('81a95f5f70726f746f5f5f81a8706f6c6c75746564c3');
    assert.deepEqual(Object.keys(value), ['__proto__']);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.equal({}.polluted, undefined);
    assert.equal(hex(value), '81a95f5f70726f746f5f5f81a8706f6c6c75746564c3');
    assert.deepEqual(Object.keys(from('83ab636f6e7374727563746f7201a8746f537472696e6702a776616c75654f6603')), [
      'constructor',
      'toString',
      'valueOf',
    ]);
  });

  it('has the headers of 16 and 32 bits', () => {
    assert.ok(hex(Array(16).fill(0)).startsWith('dc0010'));
    assert.ok(hex(Array(65_536).fill(0)).startsWith('dd00010000'));
    assert.ok(hex(Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, 0]))).startsWith('de0010'));
    assert.equal(decode(encode(Array(70_000).fill(1))).length, 70_000);
  });

  it('keeps keys that are no text in a Map, unless only text is wanted', () => {
    const map = from('83a16101 02a162 c3c0');
    assert.ok(map instanceof Map);
    assert.deepEqual([...map], [['a', 1], [2, 'b'], [true, null]]);
    assert.equal(hex(map), '83a1610102a162c3c0');
    assert.throws(() => new Decoder({ textKeys: true }).decode(Buffer.from('8101c0', 'hex')), ProtocolError);
  });

  it('goes 100 levels deep and no deeper', () => {
    const nest = (levels) => Array.from({ length: levels }).reduce((inner) => [inner], 1);
    assert.deepEqual(decode(encode(nest(100))), nest(100));
    assert.throws(() => encode(nest(101)), ValidationError);
    assert.throws(() => from(`${'91'.repeat(101)}01`), ProtocolError);
    assert.throws(() => from(`${'91'.repeat(100_000)}01`), ProtocolError);
    const loop = {};
    loop.loop = loop;
    assert.throws(() => encode(loop), ValidationError);
  });

  it('takes what toJSON gives, and refuses what has no form', () => {
    assert.equal(hex(new URL('http://a/')), hex('http://a/'));
    class Point {
      constructor() {
        this.x = 1;
      }
    }
    assert.equal(hex(new Point()), '81a17801');
    for (
      const value of [
        () => {},
        Symbol('x'),
        new Set(),
        /x/,
        new Uint16Array(2),
        new Boolean(true),
        Promise.resolve(),
        new Date(NaN),
      ]
    ) assert.throws(() => encode(value), ValidationError);
  });
});

describe('bytes, extensions, time', () => {
  it('has bytes of any view', () => {
    assert.equal(hex(Buffer.from([1, 2])), 'c4020102');
    assert.equal(hex(new Uint8Array([9, 1, 2, 9]).subarray(1, 3)), 'c4020102');
    assert.equal(hex(new Uint8Array([1]).buffer), 'c40101');
    assert.equal(hex(new Float32Array([1])), 'c4040000803f');
    assert.ok(hex(Buffer.alloc(256)).startsWith('c50100'));
    assert.deepEqual(from('c403010203'), Buffer.from([1, 2, 3]));
  });

  it('keeps what it decodes when the source is used again', () => {
    const source = Buffer.from('c403010203', 'hex');
    const value = decode(source);
    source.fill(0);
    assert.deepEqual(value, Buffer.from([1, 2, 3]));
  });

  it('has every form of an extension', () => {
    for (
      const [count, header] of [[0, 'c700'], [1, 'd4'], [2, 'd5'], [3, 'c703'], [4, 'd6'], [8, 'd7'], [16, 'd8'], [17, 'c711'], [
        256,
        'c80100',
      ], [65_536, 'c900010000']]
    ) {
      const value = new Extension(-5, Buffer.alloc(count, 7));
      assert.ok(hex(value).startsWith(`${header}fb`), header);
      assert.deepEqual(decode(encode(value)), value);
    }
  });

  it('has points in time in 4, 8 and 12 bytes', () => {
    for (
      const [date, bytes] of [['1970-01-01T00:00:00.000Z', 'd6ff00000000'], ['2026-11-26T03:20:00.123Z', null], [
        '1969-12-31T23:59:59.999Z',
        'c70cff3b8b87c0ffffffffffffffff',
      ], ['+010000-01-01T00:00:00.000Z', null]]
    ) {
      if (bytes !== null) assert.equal(hex(new Date(date)), bytes);
      assert.equal(decode(encode(new Date(date))).toISOString(), date);
    }
    const fine = from('d7ff0000000400000005');
    assert.deepEqual(fine, new Timestamp(5, 1));
    assert.equal(hex(fine), 'd7ff0000000400000005');
    assert.deepEqual(from('c70cff000000007fffffffffffffff'), new Timestamp(2n ** 63n - 1n, 0));
    for (const bytes of ['d5ff0000', 'd7ffffffffff00000000', 'c70cffffffffff0000000000000000']) {
      assert.throws(() => from(bytes), ProtocolError);
    }
  });
});

describe('bytes of an enemy', () => {
  it('are refused where something is missing, left or impossible', () => {
    for (
      const bytes of [
        '',
        'c1',
        '92 01',
        '81 a161',
        'a3 6161',
        'c5 0010 00',
        'cd 01',
        'cb 00',
        'd6 ff 00',
        '01 01',
        'ddffffffff',
        'dfffffffff',
        'dbffffffff',
        'c6ffffffff',
        'c9ffffffff 05',
        'dc7fff 00',
      ]
    ) {
      assert.throws(() => from(bytes), ProtocolError, bytes);
    }
  });

  it('never give anything but a value or a ProtocolError', (context) => {
    const source = random(seed);
    context.diagnostic(`NEXA_TEST_SEED=${seed}`);
    for (let round = 0; round < 30_000; round++) {
      const bytes = Buffer.from(Array.from({ length: 1 + source(40) }, () => (source(3) === 0 ? 0x80 + source(128) : source(256))));
      try {
        decode(bytes);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${bytes.toString('hex')}: ${error.stack}`);
      }
    }
  });
});

describe('the names of fields', () => {
  it('that every document has do not push each other out', () => {
    const cache = new KeyCache();
    const names = ['_id', 'id', '_created_at', '_updated_at', '_rev', '_score'].map((name) => Buffer.from(name));
    for (const bytes of names) cache.keep(bytes, 0, bytes.length, String(bytes));
    for (const bytes of names) assert.equal(cache.find(bytes, 0, bytes.length), String(bytes));
  });
});

describe('the other implementations', () => {
  const script = path.join(__dirname, 'cross_check.py');
  const count = process.env.NEXA_CROSS_CHECK ?? '10000';
  const run = (args, input) =>
    execFileSync(python, [script, ...args], { encoding: 'utf8', maxBuffer: 1 << 30, input }).trim().split('\n');

  it('the corpus of the node, whose Swift codec reads and writes it alike', () => {
    const lines = readFileSync(path.join(root, 'Tests/Fixtures/msgpack-corpus.txt'), 'utf8').trim().split('\n');
    assert.equal(lines.length, 300);
    let exact = 0;
    for (const line of lines) {
      const [bytes] = line.split('\t');
      const again = hex(from(bytes));
      // A float64 that is a small whole number is the same number, and shorter, as an integer.
      if (again === bytes) exact++;
      else assert.ok(bytes.includes('cb'), bytes);
      assert.equal(hex(from(again)), again);
    }
    assert.ok(exact > 250, `${exact} of 300`);
  });

  it(`${count} random values of Python come back byte for byte`, (context) => {
    context.diagnostic(`NEXA_TEST_SEED=${seed}`);
    for (const line of run(['generate', String(seed), count])) assert.equal(hex(from(line)), line);
  });

  it(`${count} random values of ours come back from Python byte for byte`, (context) => {
    context.diagnostic(`NEXA_TEST_SEED=${seed}`);
    const source = random(seed);
    const lines = Array.from({ length: Number(count) }, () => hex(value(source, 3)));
    assert.deepEqual(run(['repack'], `${lines.join('\n')}\n`), lines);
  });

  function value(source, depth) {
    const text = () =>
      String.fromCodePoint(
        ...Array.from({ length: source(40) }, () => [97 + source(26), 0xe4, 0x20ac, 0x1f600 + source(50), 0][source(5)]),
      );
    switch (source(depth > 0 ? 11 : 8)) {
      case 0:
        return [null, true, false, undefined][source(4)];
      case 1:
        return source(2) ? source(70_000) : -source(70_000);
      case 2:
        return (source(2) ? 1 : -1) * (2 ** source(54) - source(2));
      case 3:
        return (2n ** 53n + BigInt(source(1000))) * (source(2) ? 1n : -1n);
      case 4:
        return source(1_000_000) / 1000 + 0.0005;
      case 5:
        return text();
      case 6:
        return Buffer.alloc(source(300), source(256));
      case 7:
        return source(2) ? new Date(source(2 ** 30) * 1000 + source(1000)) : new Extension(source(128), Buffer.alloc(source(20)));
      case 8:
        return Array.from({ length: source(18) }, () => value(source, depth - 1));
      default:
        return Object.fromEntries(Array.from({ length: source(18) }, () => [`_${text()}`, value(source, depth - 1)]));
    }
  }
});
