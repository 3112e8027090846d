'use strict';

/** What ends, ends for everyone: nobody waits for what cannot come, and nothing is done twice or told as not done when it may be. */

const { describe, it } = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');
const { Connection } = require('../src/connection');
const { Cursor } = require('../src/cursor');
const { Deadlines } = require('../src/deadlines');
const { Dispatcher } = require('../src/dispatcher');
const { Operation } = require('../src/operation');
const { defaults } = require('../src/options');
const { ConnectionError } = require('../src/errors');
const { Type } = require('../src/wire/protocol');
const { clientOf, closing, document, ok, scripted, until } = require('./support/scene');

/** What never comes in these tests would come then. */
const LATE_MS = 50_000;

const client = (nodes, options) => clientOf(nodes, LATE_MS, options);

async function connected(node) {
  const greeting = { dialect: 'plain', features: ['request_id', 'op_id'] };
  const connection = new Connection({ host: '127.0.0.1', port: node.port }, { ...defaults, tls: null, greeting }, () => {});
  closing({ stop: () => connection.close(new ConnectionError('The test is over')) });
  await connection.open(LATE_MS);
  return connection;
}

const empty = (encoder) => encoder.writeMapHeader(0);

describe('a write', () => {
  it('that pauses for a node which asked for slower writes is sent once, whatever changes meanwhile', async () => {
    const dispatcher = new Dispatcher([], { ...defaults, greeting: {} });
    const sent = [];
    const connection = {
      unsentByteCount: 0,
      hasToken: false,
      hasOperationID: true,
      repetitionMS: Infinity,
      send: (operation) => sent.push(operation),
      cancel() {},
    };
    let host = null;
    dispatcher.topology = { choose: () => host, want() {}, start() {}, stop() {}, hopeless: null };
    const operation = new Operation(Type.CREATE, 'create', 'c', true);
    dispatcher.begin(operation, () => {}, () => {});
    assert.ok(operation.isWaiting);
    host = { pick: () => connection, slowUntil: performance.now() + LATE_MS, role: 'single' };
    for (let i = 0; i < 3; i++) dispatcher.changed();
    assert.notEqual(operation.pause, null);
    await until(() => operation.pause === null);
    assert.equal(sent.length, 1);
    await dispatcher.close(0);
  });

  it('that was lost and is refused afterwards has an unknown outcome', async () => {
    for (const code of ['OVERLOADED', 'UNAUTHENTICATED']) {
      let count = 0;
      const node = await scripted((
        request,
        self,
      ) => (++count === 1 ? self.cut() : self.error(request, code, { retry_after_ms: 1 })));
      await assert.rejects(client(node).create('c', {}), { code: 'UNKNOWN_OUTCOME', outcome: 'unknown' });
      assert.ok(node.requests.length > 1);
    }
  });

  it('that was lost is not sent again to a node that would take it for another one', async () => {
    const node = await scripted((request, self) => {
      self.greeting = { features: ['request_id', 'token'] };
      self.cut();
    });
    await assert.rejects(client(node).create('c', {}), { code: 'UNKNOWN_OUTCOME' });
    assert.equal(node.requests.length, 1);
  });

  it('that was lost is not sent again when nodes may have forgotten it', async () => {
    const node = await scripted((request, self) => self.cut(), { op_id_window_s: 1 });
    const cut = node.answer;
    node.answer = async (request, self) => {
      cut(request, self);
      await self.stop();
      await sleep(700);
      await self.start(self.port);
    };
    await assert.rejects(client(node).create('c', {}), { code: 'UNKNOWN_OUTCOME' });
    assert.equal(node.requests.length, 1);
  });
});

describe('a read', () => {
  it('of a node that told the position, and now follows another, asks for it', async () => {
    const leader = await scripted(ok, { role_in_cluster: 'leader', epoch: 4 });
    let isDeposed = false;
    const old = await scripted((request, self) => {
      if (request.type === Type.STATUS) {
        self.success(request, {
          role_in_cluster: isDeposed ? 'follower' : 'leader',
          replication: { leader: leader.address, epoch: 3 },
        });
      } else if (isDeposed && request.type === Type.CREATE) self.error(request, 'NOT_LEADER', { leader: leader.address });
      else self.success(request, document(request), { position: [3, 70] });
    }, { role_in_cluster: 'leader', epoch: 3 });
    const db = client(old);
    await db.create('c', {});
    await db.get('c', 'k');
    isDeposed = true;
    await db.create('c', {});
    await db.get('c', 'k', { readPreference: 'secondary' });
    const reads = old.requests.filter(({ type }) => type === Type.READ).map(({ value }) => value.after);
    assert.deepEqual(reads, [undefined, [3, 70]]);
  });

  it('that is answered by a stream that makes no sense fails, and the connection stays', async () => {
    const node = await scripted((request, self) => {
      if (request.type !== Type.READ) return undefined;
      if (request.value.key !== 'odd') return ok(request, self);
      self.reply(request, Type.STREAM_START, { stream: 1 });
      self.reply(request, Type.STREAM_CHUNK, { stream: 1, documents: [{ _id: 'k' }] });
      return self.reply(request, Type.STREAM_END, { stream: 1 });
    });
    const db = client(node);
    await assert.rejects(db.get('c', 'odd'), { code: 'PROTOCOL' });
    assert.equal((await db.get('c', 'k')).id, 'k');
    assert.equal(node.accepted, 1);
  });

  it('whose result breaks off begins again as a whole; a cursor, which gave a part of it, says so', async () => {
    for (const breakOff of [(request, self) => self.error(request, 'SHUTTING_DOWN'), (request, self) => request.socket.end()]) {
      let count = 0;
      const node = await scripted((request, self) => {
        if (request.type !== Type.QUERY) return undefined;
        if (++count % 2 === 0) return self.success(request, [{ _id: 'a' }, { _id: 'b' }]);
        self.reply(request, Type.STREAM_START, { stream: 1 });
        self.reply(request, Type.STREAM_CHUNK, { stream: 1, documents: [{ _id: 'a' }] });
        return breakOff(request, self);
      });
      const db = client(node);
      assert.deepEqual((await db.query('c')).map(({ _id }) => _id), ['a', 'b']);
      const cursor = db.find('c');
      assert.equal((await cursor.next())._id, 'a');
      await assert.rejects(cursor.next(), (error) => ['SHUTTING_DOWN', 'CONNECTION'].includes(error.code));
      assert.equal(count, 3);
    }
  });

  it('with more time than a timer takes is looked after without haste', async (t) => {
    const sweep = t.mock.method(Deadlines.prototype, 'sweep');
    const deadlines = new Deadlines(() => assert.fail('it is not over'));
    const operation = { deadline: performance.now() + 2 ** 40, isWaiting: false, previous: null, next: null };
    deadlines.add(operation);
    await sleep(100);
    deadlines.remove(operation);
    assert.equal(sweep.mock.callCount(), 0);
  });
});

describe('a listener', () => {
  it('is told of nodes in a turn of its own, where what it throws breaks no connection', async () => {
    const node = await scripted(ok);
    const db = client(node);
    let stack;
    db.on('topology', () => stack ??= new Error('told').stack);
    await db.ping();
    await until(() => stack !== undefined);
    assert.doesNotMatch(stack, /connection\.js|host\.js/);
  });
});

describe('a connection', () => {
  it("that is to close when it is idle does so when the last answer is nobody's", async () => {
    const node = await scripted((request, self) => ok(request, self));
    const connection = await connected(node);
    connection.cancel(connection.send({ answer() {}, lost() {} }, Type.PING, 0, empty));
    connection.closeWhenIdle(new ConnectionError('It is retired'));
    assert.ok(connection.isOpen);
    await until(() => !connection.isOpen);
  });

  it('with as many unanswered requests as there may be gives one up all the same', async () => {
    const node = await scripted(() => {});
    const connection = await connected(node);
    const nobody = { answer() {}, lost() {} };
    for (let id = 1; id < 1 << 17; id++) connection.pending.set((1 << 20) + id, nobody);
    let isTold = false;
    const id = connection.send({ answer() {}, lost: () => isTold = true }, Type.PING, 0, empty);
    connection.cancel(id);
    assert.notEqual(connection.pending.get(id), undefined);
    assert.throws(() => connection.send(nobody, Type.PING, 0, empty), ConnectionError);
    assert.ok(!connection.isOpen && !isTold, 'who gave up hears no more');
  });

  it('is looked after as much as the first of its node', async () => {
    const node = await scripted((request, self) => self.success(request, { role_in_cluster: 'single' }));
    node.countsStatus = true;
    await client(node, { poolSize: 2, heartbeatMS: 20 }).ping();
    const asked = () => new Set(node.requests.filter(({ type }) => type === Type.STATUS).map(({ socket }) => socket));
    await until(() => asked().size === 2);
  });
});

describe('a cursor', () => {
  it('whose result is there does not keep its connection from reading, however far the node went', async () => {
    const full = new Set();
    const connection = { credit() {}, setFull: (receiver, isFull) => isFull ? full.add(receiver) : full.delete(receiver) };
    let stream;
    const cursor = new Cursor((_, given) => {
      stream = given;
      return { isSettled: true, dispatcher: null };
    }, { timeoutMS: 0 });
    const first = cursor.next();
    stream.start(connection, 1);
    for (let n = 0; n < 20; n++) stream.chunk([{ n }]);
    assert.equal(full.size, 1);
    stream.end();
    assert.equal(full.size, 0);
    assert.equal((await first).n, 0);
    assert.equal((await cursor.toArray()).length, 19);
  });
});

describe('a change stream', () => {
  it('whose subscription is not answered asks again, and ends when that does not help', async () => {
    const node = await scripted((request, self) => (request.type === Type.SUBSCRIBE_CHANGES ? undefined : ok(request, self)));
    const stream = client(node, { connectTimeoutMS: 200 }).watch('c', { resumeTimeoutMS: 500 });
    const answer = await Promise.race([stream.ready().catch((error) => error.code), sleep(20_000, 'nothing', { ref: false })]);
    assert.equal(answer, 'CONNECTION');
    assert.ok(node.requests.filter(({ type }) => type === Type.SUBSCRIBE_CHANGES).length > 1);
    assert.ok(stream.isClosed);
  });

  it('with a signal that was given before ends at once', async () => {
    const node = await scripted(ok);
    const stream = client(node).watch('c', { signal: AbortSignal.abort(new Error('enough')) });
    assert.ok(stream.isClosed);
    await assert.rejects(stream.next(), (error) => error.name === 'AbortError' && error.cause.message === 'enough');
    await assert.rejects(stream.ready(), { name: 'AbortError' });
    assert.equal(node.accepted, 0);
  });
});
