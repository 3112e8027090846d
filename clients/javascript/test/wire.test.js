'use strict';

const { describe, it } = require('node:test');
const assert = require('node:assert/strict');
const { FrameReader } = require('../src/wire/frames');
const { compress, decompress } = require('../src/wire/lz4');
const { ProtocolError } = require('..');
const { seed, random } = require('./support/random');
const vectors = require('./lz4-vectors.json');

function frame(type, payload) {
  const header = Buffer.from('4e45584101000000', 'hex');
  header[5] = type;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([header, length, payload]);
}

/** The frames that the reader sees when the bytes come in pieces of these lengths. */
function read(bytes, pieceLengths, reader = collecting()) {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const length = Math.max(1, pieceLengths[i % pieceLengths.length]);
    reader.reader.push(bytes.subarray(at, at + length));
    at += length;
  }
  return reader.frames;
}

function collecting() {
  const frames = [];
  return {
    frames,
    reader: new FrameReader((type, flags, buffer, start, end) => frames.push([type, flags, buffer.toString('hex', start, end)])),
  };
}

describe('frames', () => {
  it('come out whole whatever pieces they came in', (context) => {
    context.diagnostic(`NEXA_TEST_SEED=${seed}`);
    const source = random(seed);
    for (let round = 0; round < 300; round++) {
      const payloads = Array.from(
        { length: 1 + source(8) },
        () => Buffer.alloc(source(4) === 0 ? source(5000) : source(40), source(256)),
      );
      const bytes = Buffer.concat(payloads.map((payload, i) => frame(i + 1, payload)));
      const expected = payloads.map((payload, i) => [i + 1, 0, payload.toString('hex')]);
      const lengths = Array.from({ length: 5 }, () => source(3) === 0 ? 1 + source(3000) : 1 + source(20));
      assert.deepEqual(read(bytes, lengths), expected);
      assert.deepEqual(read(bytes, [bytes.length]), expected);
    }
  });

  it('come out whole byte by byte', () => {
    const bytes = Buffer.concat([frame(0x81, Buffer.alloc(0)), frame(0x82, Buffer.from('abc')), frame(0x83, Buffer.alloc(0))]);
    assert.deepEqual(read(bytes, [1]), [[0x81, 0, ''], [0x82, 0, '616263'], [0x83, 0, '']]);
  });

  it('are refused where the beginning is not NEXA, before the header is whole', () => {
    for (
      const bytes of [
        Buffer.from('HTTP/1.1 400 Bad'),
        Buffer.from('4e45584102000000000000', 'hex'),
        Buffer.from('4e455842018100', 'hex'),
      ]
    ) {
      assert.throws(() => read(bytes, [bytes.length]), ProtocolError);
      assert.throws(() => read(Buffer.concat([bytes, Buffer.alloc(12)]), [1]), ProtocolError);
    }
  });

  it('are refused where they are announced too long, and keep nothing', () => {
    const { reader } = collecting();
    assert.throws(() => reader.push(Buffer.from('4e45584101810000ffffffff', 'hex')), ProtocolError);
    const patient = collecting();
    patient.reader.push(Buffer.from('4e4558410181000000ffffff', 'hex'));
    patient.reader.push(Buffer.alloc(10));
    assert.ok(patient.reader.gathered.length < 4096, 'room is made for what came, not for what was announced');
  });

  it('are gathered with few copies', () => {
    const { reader, frames } = collecting();
    const bytes = frame(0x81, Buffer.alloc(8 << 20));
    let copied = 0;
    const makeRoom = reader.makeRoom.bind(reader);
    reader.makeRoom = (count, wanted) => {
      const before = reader.gathered;
      makeRoom(count, wanted);
      if (reader.gathered !== before) copied += reader.gatheredCount;
    };
    for (let at = 0; at < bytes.length; at += 65_536) reader.push(bytes.subarray(at, at + 65_536));
    assert.equal(frames.length, 1);
    assert.ok(copied < 2 * bytes.length, `${copied} bytes were copied again`);
  });
});

describe('LZ4', () => {
  it('reads what the reference implementation wrote', () => {
    for (const { raw, times, block } of vectors) {
      const expected = Buffer.from(raw.repeat(times), 'hex');
      const bytes = Buffer.from(block, 'hex');
      assert.deepEqual(decompress(bytes, 0, bytes.length, expected.length), expected);
    }
  });

  it('reads what it wrote', (context) => {
    context.diagnostic(`NEXA_TEST_SEED=${seed}`);
    const source = random(seed);
    for (let round = 0; round < 500; round++) {
      const width = 1 + source(20);
      const raw = Buffer.from(Array.from({ length: source(4000) }, (_, i) => (source(4) === 0 ? source(256) : 65 + (i % width))));
      const block = compress(raw, 0, raw.length, raw.length + 100);
      assert.deepEqual(decompress(block, 0, block.length, raw.length), raw);
    }
  });

  it('makes repeating documents small, and gives up where there is no room', () => {
    const raw = Buffer.from('{"name":"John Smith","age":31}'.repeat(1000));
    const block = compress(raw, 0, raw.length, raw.length);
    assert.ok(block.length < raw.length / 50, `${block.length}`);
    const source = random(1);
    const noise = Buffer.from(Array.from({ length: 2000 }, () => source(256)));
    assert.equal(compress(noise, 0, noise.length, 1750), null);
  });

  it('never writes or reads beyond, whatever the block', (context) => {
    context.diagnostic(`NEXA_TEST_SEED=${seed}`);
    const source = random(seed);
    for (let round = 0; round < 20_000; round++) {
      const block = Buffer.from(Array.from({ length: source(30) }, () => (source(4) === 0 ? 0xff : source(256))));
      const rawLength = source(200);
      try {
        assert.equal(decompress(block, 0, block.length, rawLength).length, rawLength);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${block.toString('hex')}, ${rawLength}: ${error.stack}`);
      }
    }
  });
});
