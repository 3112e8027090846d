#!/usr/bin/env node
'use strict';

/**
 * How fast the JavaScript client is: one process, one connection, against one node on this machine.
 *
 *     node clients/bench/javascript_bench.js [SECONDS]       each row for so long (2); prints one JSON line a row at the end
 */

const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { setTimeout: sleep } = require('node:timers/promises');
const { Node, python: pythonBinary } = require('../javascript/test/support/node');
const { NexaClient, encode, decode } = require('../javascript');
const { Encoder, Decoder } = require('../javascript/src/msgpack');

const seconds = Number(process.argv[2] ?? 2);
const KEYS = 10_000;
const rows = [];

function row(name, value, unit) {
  rows.push({ client: 'javascript', name, value, unit });
  console.log(`${name.padEnd(44)} ${value.toLocaleString('en', { maximumFractionDigits: 2 }).padStart(14)} ${unit}`);
}

const WINDOWS = 10;

/** `width` loops that each do `once` again and again. Operations a second: the best and the median of ten windows. */
async function rate(name, width, once) {
  let count = 0;
  let isOver = false;
  const lanes = Array.from({ length: width }, async (_, lane) => {
    for (let i = lane; !isOver; i += width) {
      await once(i);
      count++;
    }
  });
  await sleep(500);
  const rates = [];
  for (let window = 0; window < WINDOWS; window++) {
    const [from, started] = [count, performance.now()];
    await sleep((seconds * 1000) / WINDOWS);
    rates.push((count - from) / ((performance.now() - started) / 1000));
  }
  isOver = true;
  await Promise.all(lanes);
  rates.sort((one, other) => one - other);
  row(`${name}, median`, rates[WINDOWS / 2], '/s');
  row(`${name}, best`, rates.at(-1), '/s');
}

function perCall(body) {
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const started = performance.now();
    let count = 0;
    while (performance.now() - started < 100) for (let i = 0; i < 50; i++, count++) body();
    best = Math.min(best, (performance.now() - started) * 1000 / count);
  }
  return best;
}

function codec() {
  const document = {
    _id: '01hzx4q9abcdefgh',
    _created_at: '2026-11-26T03:20:00.123456',
    name: 'John Smith',
    email: 'john@example.com',
    age: 31,
    active: true,
    score: 12.5,
    tags: ['a', 'b', 'c'],
    address: { city: 'Rome', zip: '00100' },
  };
  const vector = Array.from({ length: 768 }, () => Math.random());
  const encoder = new Encoder();
  const decoder = new Decoder();
  for (const [name, value] of [['one document', document], ['100 documents', Array(100).fill(document)], ['768 floats', vector]]) {
    const bytes = encode(value);
    const text = JSON.stringify(value);
    if (JSON.stringify(decode(bytes)) !== text) throw new Error('the codec is wrong');
    row(
      `codec, ${name}: encode`,
      perCall(() => {
        encoder.reset();
        encoder.writeValue(value);
      }),
      'us',
    );
    row(`JSON, ${name}: stringify`, perCall(() => JSON.stringify(value)), 'us');
    row(`codec, ${name}: decode`, perCall(() => decoder.decode(bytes)), 'us');
    row(`JSON, ${name}: parse`, perCall(() => JSON.parse(text)), 'us');
  }
  python();
}

/** The same values by Python's msgpack, where the tests have installed it. */
function python() {
  const script = path.join(__dirname, '../javascript/test/cross_check.py');
  const run = spawnSync(pythonBinary, [script, 'speed'], { encoding: 'utf8' });
  if (run.status !== 0) return;
  for (const [name, [pack, unpack]] of Object.entries(JSON.parse(run.stdout))) {
    row(`Python msgpack, ${name}: pack`, pack, 'us');
    row(`Python msgpack, ${name}: unpack`, unpack, 'us');
  }
}

async function operations() {
  const node = await new Node('--durability', 'os').start();
  const db = new NexaClient({ host: '127.0.0.1', port: node.port });
  try {
    const keys = Array.from({ length: KEYS }, (_, i) => `key${i}`);
    const body = { name: 'John Smith', email: 'john@example.com', age: 31 };
    await db.batchWrite('bench', keys.map((key) => ({ _id: key, ...body })));
    for (const width of [1, 64, 256]) {
      await rate(`get, ${width} in flight`, width, (i) => db.get('bench', keys[i % KEYS]));
    }
    for (const width of [1, 64]) {
      await rate(`create, ${width} in flight (durability os)`, width, () => db.create('made', body));
    }
    const bulk = db.bulk('many');
    const started = performance.now();
    for (let i = 0; i < 100_000; i++) await bulk.insert(body);
    const { acknowledged } = await bulk.close();
    row('bulk writer', acknowledged / ((performance.now() - started) / 1000), 'documents/s');
    const read = performance.now();
    let count = 0;
    for await (const document of db.find('many')) count += document === null ? 0 : 1;
    row('cursor', count / ((performance.now() - read) / 1000), 'documents/s');
  } finally {
    await db.disconnect();
    await node.remove();
  }
}

async function main() {
  console.log(`${path.basename(__filename)}, node ${process.version}`);
  codec();
  await operations();
  for (const one of rows) console.log(JSON.stringify(one));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
