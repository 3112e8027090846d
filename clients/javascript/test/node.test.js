'use strict';

/**
 * What only a real node can show: cursors under back-pressure, compression, bulk writes, the collection API, restarts under load.
 */

const { describe, it, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');
const { NexaClient, BulkWriteError, ValidationError, Extension, Timestamp, vectorFromBytes } = require('..');
const { Node } = require('./support/node');
const { seed, random } = require('./support/random');

let node;
let db;
before(async () => {
  node = await new Node('--durability', 'os').start();
  db = new NexaClient({ host: '127.0.0.1', port: node.port });
});
after(async () => {
  await db?.disconnect();
  await node?.remove();
});

const text = 'x'.repeat(1000);

async function fill(name, count, more = {}) {
  const bulk = db.bulk(name);
  for (let n = 0; n < count; n++) await bulk.put({ _id: `k${String(n).padStart(6, '0')}`, n, ...more });
  await bulk.close();
}

describe('large answers', () => {
  it('asked for at once all come, though the node keeps only few of them', async () => {
    await db.create('huge', { _id: 'k', text: 'x'.repeat(100_000) });
    const answers = await Promise.all(Array.from({ length: 500 }, () => db.get('huge', 'k')));
    assert.ok(answers.every((answer) => answer.text.length === 100_000));
  });
});

/** Returns once the node holds no stream any more. */
async function withoutStreams() {
  const deadline = Date.now() + 20_000;
  while ((await db.status()).streams > 0) {
    assert.ok(Date.now() < deadline, 'streams are left on the node');
    await sleep(10);
  }
}

describe('cursors', () => {
  before(() => fill('large', 20_000, { text }));

  it('hold a few chunks, however slow the reader and large the result', async () => {
    const cursor = db.find('large', {}, { batchSize: 100 });
    await cursor.next();
    global.gc?.();
    await sleep(300);
    const waiting = (await db.status()).streams;
    assert.equal(waiting, 1, 'the node keeps the stream open and waits');
    let count = 1;
    for (let document = await cursor.next(); document !== null; document = await cursor.next()) count++;
    assert.equal(count, 20_000);
    await withoutStreams();
  });

  it('end on the node when they are left, and others go on beside them', async () => {
    const cursors = Array.from({ length: 10 }, () => db.find('large'));
    for (const cursor of cursors) await cursor.next();
    assert.equal((await db.get('large', 'k000001')).n, 1);
    for (const cursor of cursors) await cursor.close();
    for await (const document of db.find('large')) if (document.n === 5) break;
    await withoutStreams();
  });

  it('give documents in order, and take sort, skip, limit and projection', async () => {
    const list = await db.collection('large').find({ n: { $gte: 10 } }).sort({ n: 1 }).skip(5).limit(3).project(['n']).toArray();
    assert.deepEqual(list.map(({ n }) => n), [15, 16, 17]);
    assert.equal(list[0].text, undefined);
    const cursor = db.find('large');
    await cursor.next();
    assert.throws(() => cursor.limit(3), ValidationError);
    await cursor.close();
    assert.equal(await cursor.next(), null);
    await assert.rejects(db.find('large').toArray({ limit: 10 }), ValidationError);
  });

  it('time runs only while somebody waits', async () => {
    const cursor = db.find('large', {}, { timeoutMS: 1500, batchSize: 10 });
    await cursor.next();
    await sleep(2000);
    for (let i = 0; i < 1000; i++) assert.notEqual(await cursor.next(), null);
    await cursor.close();
  });

  it('can be given up by a signal', async () => {
    const controller = new AbortController();
    const cursor = db.find('large', {}, { signal: controller.signal });
    await cursor.next();
    controller.abort();
    await assert.rejects(async () => {
      while (await cursor.next() !== null);
    }, { name: 'AbortError' });
  });

  it('tell an error in the filter where the first document is asked for', async () => {
    await assert.rejects(db.find('large', { a: { $frob: 1 } }).next(), { code: 'BAD_FILTER' });
  });

  it('query gathers a result of any number, and refuses one of too many bytes by name', async () => {
    assert.equal((await db.query('large', { n: { $lt: 10_000 } })).length, 10_000);
    const small = new NexaClient({ host: '127.0.0.1', port: node.port, maxResultBytes: 1 << 20 });
    try {
      await assert.rejects(small.query('large'), { code: 'RESULT_TOO_LARGE' });
      assert.equal((await small.query('large', {}, { limit: 5 })).length, 5);
    } finally {
      await small.disconnect();
    }
  });
});

describe('values', () => {
  it('come back from the node as they went: a thousand random documents', async (context) => {
    context.diagnostic(`NEXA_TEST_SEED=${seed}`);
    const source = random(seed);
    const documents = Array.from({ length: 1000 }, (_, i) => ({ _id: `r${i}`, v: value(source, 4) }));
    await db.batchWrite('random', documents);
    const found = new Map((await db.query('random')).map((document) => [document._id, document.v]));
    for (const { _id, v } of documents) assert.deepEqual(found.get(_id), v);
  });

  function value(source, depth) {
    switch (source(depth > 0 ? 12 : 9)) {
      case 0:
        return null;
      case 1:
        return source(2) === 0;
      case 2:
        return (source(2) ? 1 : -1) * (2 ** source(53) - source(2)) || 0;
      case 3:
        return source(2) ? 2n ** 64n - 1n - BigInt(source(1000)) : -(2n ** 63n) + BigInt(source(1000));
      case 4:
        return source(1_000_000) / 7;
      case 5:
        return ['', 'ä€😀', '\ufffd\u0000', 'x'.repeat(source(300))][source(4)];
      case 6:
        return Buffer.from(Array.from({ length: source(50) }, () => source(256)));
      case 7:
        return new Date(source(2 ** 31) * 1000 + source(1000));
      case 8:
        return source(2)
          ? new Extension(source(128), Buffer.alloc(source(20), 7))
          : new Timestamp(source(2 ** 31), 1 + source(999));
      case 9:
      case 10:
        return Object.fromEntries(
          Array.from({ length: source(20) }, (_, i) => [`f${i}${'_'.repeat(source(30))}`, value(source, depth - 1)]),
        );
      default:
        return Array.from({ length: source(20) }, () => value(source, depth - 1));
    }
  }

  it('vectors travel as float32 and come back as numbers or bytes', async () => {
    await db.create('vectors', { _id: 'a', vector: new Float32Array([1, 0.5, 0]), other: new Float32Array([1, 2]) });
    const { vector, other } = await db.get('vectors', 'a');
    assert.deepEqual(vector instanceof Uint8Array ? [...vectorFromBytes(vector)] : vector, [1, 0.5, 0]);
    assert.deepEqual([...vectorFromBytes(other)], [1, 2]);
    assert.equal((await db.vectorSearch('vectors', [1, 0.4, 0], 1))[0].id, 'a');
  });
});

describe('compression', () => {
  it('makes large requests and answers small on the wire, and changes nothing', async () => {
    const packed = new NexaClient({ host: '127.0.0.1', port: node.port, compress: 'lz4' });
    try {
      const document = { _id: 'packed', list: Array.from({ length: 500 }, (_, i) => ({ name: `User ${i}`, tags: ['a', 'b'] })) };
      await packed.create('packed', document);
      assert.deepEqual((await packed.get('packed', 'packed')).list, document.list);
      assert.deepEqual((await db.get('packed', 'packed')).list, document.list);
      assert.equal((await packed.query('large', { n: { $lt: 2000 } })).length, 2000);
    } finally {
      await packed.disconnect();
    }
  });
});

describe('the bulk writer', () => {
  it('writes in batches by number, bytes and time, in bounded memory', async () => {
    const bulk = db.bulk('bulk', { batchSize: 100, flushMS: 10 });
    for (let i = 0; i < 1005; i++) await bulk.insert({ i });
    const deadline = Date.now() + 20_000;
    while (await db.count('bulk') < 1005) {
      assert.ok(Date.now() < deadline, 'the last few do not go out by time');
      await sleep(5);
    }
    assert.deepEqual(await bulk.close(), { acknowledged: 1005, failed: 0, checkpoint: 1005, errors: [] });
    assert.throws(() => bulk.insert({}), { code: 'CLOSED' });
  });

  it('tells each item that failed, and how far all went well', async () => {
    await db.create('bulk2', { _id: 'k5' });
    const told = [];
    const bulk = db.bulk('bulk2', { batchSize: 4, onError: (error) => told.push(error.index) });
    for (let i = 0; i < 10; i++) await bulk.insert({ _id: `k${i}` });
    await bulk.delete('nothing');
    await assert.rejects(bulk.close(), (error) => {
      assert.ok(error instanceof BulkWriteError);
      assert.deepEqual(error.errors.map(({ index, code }) => [index, code]), [[5, 'DUPLICATE'], [10, 'CONFLICT']]);
      assert.equal(error.result.acknowledged, 9);
      assert.equal(error.result.checkpoint, 5);
      return true;
    });
    assert.deepEqual(told, [5, 10]);
    assert.equal(await db.count('bulk2'), 10);
  });

  it('stops behind the first failure where order matters, and goes on from the checkpoint', async () => {
    await db.create('bulk3', { _id: 'k7' });
    const documents = Array.from({ length: 30 }, (_, i) => ({ _id: `k${i}` }));
    const first = db.bulk('bulk3', { batchSize: 5, ordered: true });
    for (const document of documents) await first.insert(document);
    const { result } = await first.close().catch((error) => error);
    assert.equal(result.checkpoint, 7);
    assert.equal(await db.count('bulk3'), 8);
    const second = db.bulk('bulk3', { startAt: result.checkpoint });
    for (const document of documents.slice(result.checkpoint)) await second.put(document);
    assert.equal((await second.close()).checkpoint, 30);
    assert.equal(await db.count('bulk3'), 30);
  });
});

describe('collections', () => {
  const users = () => db.collection('people');
  before(async () => {
    await users().insertMany([{ _id: 'anna', name: 'Anna', age: 31 }, { _id: 'bob', name: 'Bob', age: 17 }, {
      _id: 'cid',
      name: 'Cid',
      age: 40,
      tags: ['a'],
    }]);
  });

  it('update, replace and remove one document, by key or by filter', async () => {
    assert.deepEqual(await users().updateOne({ _id: 'anna' }, { $set: { age: 32 } }), { matchedCount: 1, upsertedId: null });
    assert.deepEqual(await users().updateOne({ name: 'Bob' }, { age: 18 }), { matchedCount: 1, upsertedId: null });
    assert.deepEqual(await users().updateOne({ name: 'Nobody' }, { age: 18 }), { matchedCount: 0, upsertedId: null });
    const { upsertedId } = await users().updateOne({ name: 'Dora' }, { $set: { age: 5 } }, { upsert: true });
    assert.deepEqual([(await users().findOne({ _id: upsertedId })).name, (await users().findOne({ name: 'Dora' })).age], [
      'Dora',
      5,
    ]);
    assert.deepEqual(await users().replaceOne({ name: 'Cid' }, { name: 'Sid' }), { matchedCount: 1, upsertedId: null });
    assert.equal((await users().findOne({ _id: 'cid' })).tags, undefined);
    assert.deepEqual(await users().deleteOne({ name: 'Dora' }), { deletedCount: 1 });
    assert.deepEqual(await users().deleteOne({ name: 'Dora' }), { deletedCount: 0 });
    assert.equal(await users().countDocuments(), 3);
  });

  it('refuse operators of updates that the node does not have', async () => {
    for (const update of [{ $inc: { age: 1 } }, { $set: { a: 1 }, b: 2 }, { $set: { 'a.b': 1 } }]) {
      await assert.rejects(users().updateOne({ _id: 'anna' }, update), ValidationError);
    }
  });

  it('change one document atomically under others that do the same', async () => {
    await users().insertOne({ _id: 'counter', kind: 'counter', free: true });
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, i) => users().updateOne({ kind: 'counter', free: true }, { free: false, by: i })),
    );
    assert.equal(results.filter(({ matchedCount }) => matchedCount === 1).length, 1, 'one took it');
  });

  it('change and remove many', async () => {
    await users().insertMany(Array.from({ length: 2500 }, (_, i) => ({ kind: 'many', i })));
    assert.deepEqual(await users().updateMany({ kind: 'many', i: { $lt: 2000 } }, { $set: { seen: true } }), {
      matchedCount: 2000,
    });
    assert.equal(await users().countDocuments({ seen: true }), 2000);
    assert.deepEqual(await users().deleteMany({ kind: 'many' }), { deletedCount: 2500 });
    const database = 'another';
    await users().insertMany([{ _id: 'here', kind: 'some' }, { _id: 'both', kind: 'some' }]);
    await users().insertMany([{ _id: 'there', kind: 'some' }, { _id: 'both', kind: 'some' }], { database });
    assert.deepEqual(await users().deleteMany({ kind: 'some' }, { database }), { deletedCount: 2 });
    assert.deepEqual(await Promise.all([users().countDocuments({ kind: 'some' }), users().countDocuments({}, { database })]), [
      2,
      0,
    ]);
  });

  it('write different things in one request', async () => {
    const { count } = await users().bulkWrite([
      { insertOne: { document: { _id: 'eve' } } },
      { updateOne: { filter: { _id: 'eve' }, update: { $set: { n: 1 } } } },
      { replaceOne: { filter: { _id: 'eve' }, replacement: { m: 2 } } },
      { deleteOne: { filter: { _id: 'eve' } } },
    ]);
    assert.equal(count, 4);
    assert.equal(await users().findOne({ _id: 'eve' }), null);
  });

  it('live in the database that is named', async () => {
    await db.collection('things', { database: 'elsewhere' }).insertOne({ _id: 'x' });
    assert.equal(await db.get('things', 'x'), null);
    assert.equal((await db.get('things', 'x', { database: 'elsewhere' })).id, 'x');
    assert.ok((await db.listDatabases()).includes('elsewhere'));
  });
});

describe('a node that is restarted under load', () => {
  const rounds = 5 * Number(process.env.NEXA_CHAOS_ROUNDS ?? 1);

  it(`${rounds} times: no acknowledged write is lost, none is there twice, and it is used again soon`, async () => {
    const restarted = await new Node().start();
    const client = new NexaClient({ host: '127.0.0.1', port: restarted.port, timeoutMS: 20_000, serverSelectionTimeoutMS: 20_000 });
    const acknowledged = [];
    const unknown = [];
    let isOver = false;
    let lastDone = 0;
    try {
      await client.connect();
      const lanes = Array.from({ length: 16 }, async (_, lane) => {
        for (let i = 0; !isOver; i++) {
          const mark = `${lane}-${i}`;
          try {
            await client.create('writes', { mark });
            acknowledged.push(mark);
            lastDone = performance.now();
          } catch (error) {
            assert.equal(error.code, 'UNKNOWN_OUTCOME', error.stack);
            unknown.push(mark);
          }
        }
      });
      const gaps = [];
      for (let round = 0; round < rounds; round++) {
        await sleep(100 + Math.random() * 100);
        await restarted.stop(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
        await restarted.start();
        const back = performance.now();
        while (lastDone < back) {
          await sleep(2);
          assert.ok(performance.now() - back < 20_000, 'nothing is written after the restart');
        }
        gaps.push(performance.now() - back);
      }
      isOver = true;
      await Promise.all(lanes);
      const found = (await client.find('writes').toArray()).map(({ mark }) => mark);
      const distinct = new Set(found);
      assert.deepEqual(acknowledged.filter((mark) => !distinct.has(mark)), [], 'lost');
      assert.equal(distinct.size, found.length, 'twice');
      const written = new Set([...acknowledged, ...unknown]);
      assert.deepEqual(found.filter((mark) => !written.has(mark)), [], 'invented');
      // Pauses of a quarter of a second at most while somebody waits; without anybody they grow to five seconds.
      assert.ok(Math.max(...gaps) < 4000, `${Math.max(...gaps)} ms until the first write`);
      assert.deepEqual(unknown, [], 'a write under its op_id is sent again until its outcome is known');
    } finally {
      isOver = true;
      await client.disconnect({ graceMS: 0 });
      await restarted.remove();
    }
  });
});
