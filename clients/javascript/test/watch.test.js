'use strict';

/** Change streams: in order, without a gap or a repetition, whatever happens in between. */

const { describe, it, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');
const { NexaClient, AuthenticationError, PermissionError, ValidationError } = require('..');
const { Node } = require('./support/node');
const { ScriptedNode } = require('./support/scripted');
const { Type } = require('../src/wire/protocol');

const WITHIN_MS = 20_000;

/** The next event, or a failure where none comes in time. */
async function next(stream) {
  const controller = new AbortController();
  const event = await Promise.race([stream.next(), sleep(WITHIN_MS, 'none', { signal: controller.signal })]);
  controller.abort();
  assert.notEqual(event, 'none', 'no event came');
  return event;
}

describe('a change stream', () => {
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

  it('tells inserts, updates and deletes of its collection, in order', async () => {
    const users = db.collection('users');
    const stream = await users.watch().ready();
    await users.insertOne({ _id: 'a', n: 1 });
    await users.updateOne({ _id: 'a' }, { n: 2 });
    await db.create('others', { _id: 'x' });
    await users.deleteOne({ _id: 'a' });
    const events = [await next(stream), await next(stream), await next(stream)];
    assert.deepEqual(events.map(({ operationType, documentKey }) => [operationType, documentKey._id]), [['insert', 'a'], [
      'update',
      'a',
    ], ['delete', 'a']]);
    assert.deepEqual([events[0].fullDocument.n, events[1].updateDescription.updatedFields, events[0].ns.coll], [
      1,
      { n: 2 },
      'users',
    ]);
    assert.equal(stream.tryNext(), null);
    await stream.close();
    assert.equal(await stream.next(), null);
  });

  it('goes on behind a token, in another client as well', async () => {
    const stream = await db.collection('resumed').watch().ready();
    for (let i = 0; i < 10; i++) await db.create('resumed', { _id: `k${i}` });
    for (let i = 0; i < 4; i++) await next(stream);
    const token = stream.resumeToken;
    await stream.close();
    const other = new NexaClient({ host: '127.0.0.1', port: node.port });
    const rest = other.collection('resumed').watch({ resumeAfter: token });
    for (let i = 4; i < 10; i++) assert.equal((await next(rest)).documentKey._id, `k${i}`);
    await other.disconnect();
    assert.ok(rest.isClosed, 'a client that is closed leaves no stream behind');
  });

  it('starts behind a position, and watches a whole database', async () => {
    await db.create('one', { _id: 'a' });
    const { position } = db;
    await db.create('one', { _id: 'b' });
    await db.create('two', { _id: 'c' });
    const stream = db.watch(undefined, { startAfter: position });
    assert.deepEqual([(await next(stream)).documentKey._id, (await next(stream)).ns.coll], ['b', 'two']);
    await stream.close();
  });

  it('takes only the operations that are named', async () => {
    const stream = await db.collection('some').watch({ operations: ['delete'] }).ready();
    await db.create('some', { _id: 'a' });
    await db.delete('some', 'a');
    assert.equal((await next(stream)).operationType, 'delete');
    await stream.close();
  });

  it('keeps a bounded number of events for a slow reader, who misses none', async () => {
    const count = 12_000;
    const stream = await db.collection('slow').watch().ready();
    const bulk = db.bulk('slow');
    for (let i = 0; i < count; i++) await bulk.insert({ _id: `k${String(i).padStart(6, '0')}`, text: 'x'.repeat(2000) });
    await bulk.close();
    await sleep(300);
    assert.ok(stream.bufferedCount < 2000, `${stream.bufferedCount} are kept`);
    // Batches under way side by side are committed in any order, each whole.
    const seen = new Set();
    for (let i = 0; i < count; i++) seen.add((await next(stream)).documentKey._id);
    assert.equal(seen.size, count);
    await stream.close();
  });

  it('ends by break and by signal, and leaves no connection', async () => {
    const connections = async () => (await db.status()).connections;
    const earlier = await connections();
    const stream = await db.collection('ended').watch().ready();
    await db.create('ended', {});
    for await (const event of stream) {
      assert.equal(event.operationType, 'insert');
      break;
    }
    const controller = new AbortController();
    const cancelled = await db.collection('ended').watch({ signal: controller.signal }).ready();
    const pending = cancelled.next();
    controller.abort();
    await assert.rejects(pending, { name: 'AbortError' });
    const deadline = Date.now() + 20_000;
    while (await connections() > earlier) {
      assert.ok(Date.now() < deadline, 'a connection is left');
      await sleep(10);
    }
  });

  it('refuses a token that is none, and options that are none', async () => {
    const stream = db.collection('users').watch({ resumeAfter: Buffer.from('nonsense') });
    await assert.rejects(stream.next(), ValidationError);
    await assert.rejects(stream.ready(), ValidationError);
    assert.throws(() => db.watch('users', { batchSize: 3 }), ValidationError);
  });

  it('goes through restarts of its node without a gap or a repetition', async () => {
    const restarted = await new Node().start();
    const client = new NexaClient({ host: '127.0.0.1', port: restarted.port, timeoutMS: 20_000, serverSelectionTimeoutMS: 20_000 });
    try {
      const stream = await client.collection('writes').watch().ready();
      let written = 0;
      let isOver = false;
      const writer = (async () => {
        while (!isOver) await client.create('writes', { n: written++ });
      })();
      writer.catch(() => {});
      const seen = [];
      const reader = (async () => {
        while (!isOver || seen.length < written) seen.push((await next(stream)).fullDocument.n);
      })();
      reader.catch(() => {});
      for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL']) {
        await sleep(200);
        await restarted.stop(signal);
        await restarted.start();
        const before = written;
        const deadline = Date.now() + 20_000;
        while (written < before + 20 && Date.now() < deadline) await sleep(5);
      }
      isOver = true;
      await writer;
      await reader;
      assert.deepEqual(seen, Array.from({ length: written }, (_, n) => n));
    } finally {
      await client.disconnect({ graceMS: 0 });
      await restarted.remove();
    }
  });
});

describe('a change stream whose node gives it up', () => {
  const token = (n) => Buffer.from([n]);
  const event = (n) => ({
    operationType: 'insert',
    ns: { db: 'd', coll: 'c' },
    documentKey: { _id: `k${n}` },
    resume_token: token(n),
    epoch: 1,
    lsn: n,
  });

  async function watching(answer) {
    const node = await new ScriptedNode((
      request,
      self,
    ) => (request.type === Type.SUBSCRIBE_CHANGES ? answer(request, self) : self.success(request, {}))).start();
    const db = new NexaClient({ host: '127.0.0.1', port: node.port });
    return {
      node,
      db,
      stop: async () => {
        await db.disconnect();
        await node.stop();
      },
    };
  }

  it('goes on behind the last event that came', async () => {
    const asked = [];
    const { db, stop } = await watching((request, self) => {
      asked.push(request.value.resume_after?.[0]);
      const from = request.value.resume_after?.[0] ?? 0;
      self.success(request, { subscribed: true, resume_token: token(from) });
      self.reply(request, Type.CHANGE_EVENT, event(from + 1));
      self.reply(request, Type.CHANGE_EVENT, { operationType: 'heartbeat', resume_token: token(from + 2) });
      if (from < 4) self.error(request, 'SUBSCRIPTION_LOST', { reason: 'slow' });
    });
    const stream = db.watch('c');
    for (const id of ['k1', 'k3', 'k5']) assert.equal((await next(stream)).documentKey._id, id);
    assert.deepEqual(asked, [undefined, 2, 4]);
    await stop();
  });

  it('fails by name where no time and no node would help', async () => {
    for (const [code, Class] of [['UNAUTHENTICATED', AuthenticationError], ['FORBIDDEN', PermissionError]]) {
      const { db, stop } = await watching((request, self) => self.error(request, code));
      await assert.rejects(db.watch('c').next(), Class);
      await stop();
    }
    const { db, stop } = await watching((request, self) => self.error(request, 'HISTORY_LOST', { oldest_lsn: 7 }));
    await assert.rejects(db.watch('c').next(), (error) => error.code === 'HISTORY_LOST' && error.details.oldest_lsn === 7);
    await stop();
  });

  it('fails where nobody takes it for too long', async () => {
    const { db, stop } = await watching((request, self) => self.error(request, 'SUBSCRIPTION_LOST', { reason: 'shutting down' }));
    await assert.rejects(db.watch('c', { resumeTimeoutMS: 100 }).next(), { code: 'SUBSCRIPTION_LOST' });
    await stop();
  });
});
