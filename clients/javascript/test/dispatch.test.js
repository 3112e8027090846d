'use strict';

/** Selection, retries, time and bounds, against nodes that are played by a script. */

const { describe, it } = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');
const diagnostics = require('node:diagnostics_channel');
const nexaclient = require('..');
const { clientOf, closing, document, ok, scripted, until } = require('./support/scene');
const { ScriptedNode } = require('./support/scripted');
const { Type, Flag } = require('../src/wire/protocol');
const { chooseForRead, choosePrimary, backOff, averaged } = require('../src/topology/selection');

const { NexaClient } = nexaclient;

/** What an operation may take here. What is to end at once, or by a time of its own, ends long before that. */
const BUDGET_MS = 20_000;

const client = (nodes, options) => clientOf(nodes, BUDGET_MS, options);

const silent = () => {};

describe('requests', () => {
  it('of one turn leave in one write, and find their answers in any order', async () => {
    const held = [];
    const node = await scripted((request, self) => {
      held.push(request);
      if (held.length === 50) { for (const one of held.reverse()) self.success(one, document(one)); }
    });
    const db = client(node);
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => db.get('c', `k${i}`)));
    assert.deepEqual(results.map(({ id }) => id), Array.from({ length: 50 }, (_, i) => `k${i}`));
    assert.equal(node.accepted, 1);
    assert.ok(node.reads <= 3, `${node.reads} reads`);
  });

  it('are what they were when they were made', async () => {
    const node = await scripted((request, self) => self.success(request, { ...request.value.data, _id: 'k' }));
    const data = { list: [1] };
    const stored = client(node).create('c', data);
    data.list.push(2);
    assert.deepEqual((await stored).list, [1]);
  });

  it('tell the node what is left of their time', async () => {
    const node = await scripted(ok);
    const started = performance.now();
    await client(node).get('c', 'k', { timeoutMS: 9000 });
    const [{ value }] = node.requests;
    const least = 9000 - (performance.now() - started);
    assert.ok(value.timeout_ms >= least && value.timeout_ms <= 9000, `${value.timeout_ms}, at least ${least}`);
  });

  it('without an answer end with their time, are cancelled on the node, and shift nobody', async () => {
    const node = await scripted((request, self) => {
      if (request.type === Type.CANCEL) self.success(request, { cancelled: true });
      else if (request.value.key !== 'slow') ok(request, self);
    });
    const db = await client(node).connect();
    const started = performance.now();
    await assert.rejects(db.get('c', 'slow', { timeoutMS: 60 }), { name: 'TimeoutError', code: 'TIMEOUT', outcome: 'none' });
    assert.ok(performance.now() - started < BUDGET_MS / 2);
    for (let i = 0; i < 5; i++) assert.equal((await db.get('c', `k${i}`)).id, `k${i}`);
    const slow = node.requests.find(({ value }) => value.key === 'slow');
    assert.deepEqual(node.requests.find(({ type }) => type === Type.CANCEL).value, { request_id: slow.id });
    ok(slow, node);
    assert.equal((await db.get('c', 'last')).id, 'last');
    assert.equal(node.accepted, 1);
  });

  it('that write and have no answer in time are told as unknown', async () => {
    const node = await scripted((request, self) => (request.type === Type.PING ? ok(request, self) : undefined));
    const db = await client(node).connect();
    await assert.rejects(
      db.create('c', {}, { timeoutMS: 50 }),
      (error) => error instanceof nexaclient.UnknownOutcomeError && error.timeout && error.outcome === 'unknown',
    );
  });

  it('can be given up by a signal, before and after they left', async () => {
    const node = await scripted(silent);
    const db = client(node);
    const controller = new AbortController();
    const pending = db.get('c', 'k', { signal: controller.signal });
    setImmediate(() => controller.abort(new Error('enough')));
    await assert.rejects(
      pending,
      (error) => error.name === 'AbortError' && error.code === 'ABORT_ERR' && error.cause.message === 'enough',
    );
    await assert.rejects(db.get('c', 'k', { signal: controller.signal }), { name: 'AbortError' });
    await assert.rejects(db.create('c', {}, { signal: controller.signal }), { name: 'AbortError', outcome: 'none' });
  });

  it('beyond maxQueue fail at once, and the others go on', async () => {
    let held = [];
    const node = await scripted((request) => {
      held.push(request);
    });
    const db = client(node, { maxQueue: 10 });
    const results = Array.from({ length: 12 }, (_, i) => db.get('c', `k${i}`));
    await assert.rejects(results[10], { code: 'QUEUE_FULL' });
    await assert.rejects(results[11], { code: 'QUEUE_FULL' });
    await until(() => held.length === 10);
    for (const request of held) ok(request, node);
    held = { push: (request) => ok(request, node) };
    assert.equal((await Promise.all(results.slice(0, 10))).length, 10);
    assert.equal((await db.get('c', 'again')).id, 'again');
  });

  it('larger than the node takes are refused here, and harm nobody', async () => {
    const node = await scripted(ok);
    const db = client(node);
    await db.ping();
    const [large, small] = [db.create('c', { text: 'x'.repeat(2 << 20) }), db.get('c', 'k')];
    await assert.rejects(large, (error) => error instanceof nexaclient.TooLargeError && error.limit === 1 << 20);
    assert.equal((await small).id, 'k');
  });

  it('that make no sense are refused by a promise, not by an exception', async () => {
    const db = client(await scripted(ok));
    for (
      const call of [
        () => db.get('9', 'k'),
        () => db.get('c', 3),
        () => db.create('c', []),
        () => db.create('c', { f() {} }),
        () => db.query('c', null),
        () => db.query('c', {}, { limit: -1 }),
        () => db.vectorSearch('c', [1, NaN]),
        () => db.vectorSearch('c', 'x'),
        () => db.get('c', 'k', { timeout: 3 }),
        () => db.batchWrite('c', {}),
      ]
    ) {
      await assert.rejects(call(), { code: 'VALIDATION' });
    }
  });
});

describe('a lost connection', () => {
  it('has a read sent again, once', async () => {
    let count = 0;
    const node = await scripted((request, self) => (++count === 1 ? self.cut() : ok(request, self)));
    assert.equal((await client(node).get('c', 'k')).id, 'k');
    const other = await scripted((request, self) => self.cut());
    await assert.rejects(client(other).get('c', 'k'), { code: 'CONNECTION' });
    assert.equal(other.requests.length, 2);
  });

  it('has a write sent again under the same op_id, where the node knows these', async () => {
    let count = 0;
    const node = await scripted((request, self) => (++count < 3 ? self.cut() : ok(request, self)));
    await client(node).create('c', {});
    const ids = node.requests.map(({ value }) => value.op_id.toString('hex'));
    assert.equal(ids.length, 3);
    assert.equal(ids[0].length, 48);
    assert.deepEqual(new Set(ids).size, 1);
  });

  it('leaves a write without op_id unknown, and sends it once', async () => {
    const node = await scripted((request, self) => self.cut(), { features: ['request_id', 'token'] });
    await assert.rejects(
      client(node).create('c', {}),
      (error) => error.code === 'UNKNOWN_OUTCOME' && !error.timeout && error.cause.code === 'CONNECTION',
    );
    assert.equal(node.requests.length, 1);
  });

  it('leaves a write unknown where retries are not wanted', async () => {
    const node = await scripted((request, self) => self.cut());
    await assert.rejects(client(node, { retryWrites: false }).create('c', {}), { code: 'UNKNOWN_OUTCOME' });
  });

  it('is made again soon after the node is back, while somebody waits', async () => {
    let node = await scripted(ok);
    const { port } = node;
    const db = client(node);
    await db.ping();
    await node.stop();
    const waiting = db.get('c', 'k');
    waiting.catch(() => {});
    await sleep(1500);
    node = new ScriptedNode(ok);
    closing(await node.start(port));
    const back = performance.now();
    assert.equal((await waiting).id, 'k');
    // Pauses of a quarter of a second at most; those of a client that nobody uses grow to five seconds.
    assert.ok(performance.now() - back < 4000, `${performance.now() - back} ms`);
  });

  it('does nothing to a client that nobody uses', async () => {
    const node = await scripted(ok);
    const db = client(node);
    await db.ping();
    await node.stop();
    await sleep(100);
    await assert.rejects(
      db.get('c', 'k', { timeoutMS: 300 }),
      (error) => error.code === 'SERVER_SELECTION' && error.message.includes(node.address) && error.hosts[0].error !== null,
    );
  });
});

describe('refusals', () => {
  it('NOT_LEADER is followed to the leader that is named', async () => {
    const leader = await scripted(ok, { role_in_cluster: 'leader', epoch: 2 });
    const old = await scripted((request, self) => {
      if (request.type === Type.STATUS) {
        self.success(request, { role_in_cluster: 'follower', replication: { leader: leader.address, epoch: 2 } });
      } else self.error(request, 'NOT_LEADER', { leader: leader.address, epoch: 2 });
    }, { role_in_cluster: 'leader' });
    const db = client(old);
    assert.equal((await db.create('c', {})).id, 'k');
    assert.equal(leader.requests.length, 1);
    await db.create('c', {});
    assert.equal(old.requests.length, 1, 'the leader is remembered');
  });

  it('OVERLOADED is tried three times in all', async () => {
    const node = await scripted((request, self) => self.error(request, 'OVERLOADED', { retry_after_ms: 5 }));
    await assert.rejects(client(node).create('c', {}), { code: 'OVERLOADED', outcome: 'none' });
    assert.equal(node.requests.length, 3);
  });

  it('a log-in that is refused is said at once, with the reason', async () => {
    const node = new ScriptedNode(ok);
    node.hear = (socket, request) => node.error(request, 'UNAUTHENTICATED');
    closing(await node.start());
    const started = performance.now();
    await assert.rejects(
      client(node, { username: 'anna', password: 'secret' }).ping(),
      (error) => error instanceof nexaclient.AuthenticationError && !error.message.includes('secret'),
    );
    assert.ok(performance.now() - started < BUDGET_MS / 2);
  });

  it('have a class and keep what the node said', async () => {
    const node = await scripted((request, self) => self.error(request, request.value.key, { path: 'a.b' }));
    const db = client(node);
    for (
      const [code, Class] of [
        ['CONFLICT', nexaclient.ConflictError],
        ['BAD_FILTER', nexaclient.ValidationError],
        ['READ_ONLY', nexaclient.ReadOnlyError],
        ['WRITE_CONCERN_TIMEOUT', nexaclient.WriteConcernError],
        ['SOMETHING_NEW', nexaclient.ServerError],
        ['constructor', nexaclient.ServerError],
        ['RESULT_TOO_LARGE', nexaclient.TooLargeError],
        ['FORBIDDEN', nexaclient.PermissionError],
      ]
    ) {
      await assert.rejects(
        db.get('c', code),
        (error) => error instanceof Class && error.code === code && error.details.path === 'a.b' && error.name === Class.name,
      );
    }
  });

  it('SLOW_DOWN has writes wait a little, and reads not', async (t) => {
    const node = await scripted((request, self) => self.success(request, document(request), { flags: Flag.SLOW_DOWN }));
    const db = client(node);
    await db.ping();
    // How long each waits is drawn: here as long as may be.
    const draw = t.mock.method(Math, 'random', () => 1);
    for (let i = 0; i < 20; i++) await db.get('c', 'k');
    assert.equal(draw.mock.callCount(), 0, 'a read waits');
    const started = performance.now();
    for (let i = 0; i < 20; i++) await db.create('c', {});
    const [count, took] = [draw.mock.callCount(), performance.now() - started];
    assert.ok(count > 0 && took > 15 * count, `${count} waited, all together ${took} ms`);
  });
});

describe('several nodes', () => {
  const cluster = async () => {
    const leader = await scripted((request, self) => self.success(request, document(request), { position: [3, 70] }), {
      role_in_cluster: 'leader',
      epoch: 3,
    });
    const followers = [];
    for (let i = 0; i < 2; i++) {
      followers.push(await scripted(ok, { role_in_cluster: 'follower', epoch: 3, leader: leader.address }));
    }
    return { leader, followers, all: [leader, ...followers] };
  };

  it('are found through the one that is named: the leader takes writes', async () => {
    const { leader, followers } = await cluster();
    await client(followers[0]).create('c', {});
    assert.equal(leader.requests.length, 1);
  });

  it('a read elsewhere asks for the writes of this client, and only elsewhere', async () => {
    const { leader, followers, all } = await cluster();
    const db = client(all);
    await db.create('c', {});
    assert.deepEqual(db.position, [3, 70]);
    await db.get('c', 'k', { readPreference: 'secondary' });
    await db.get('c', 'k');
    assert.deepEqual(followers.flatMap(({ requests }) => requests).map(({ value }) => value.after), [[3, 70]]);
    assert.equal(leader.requests[1].value.after, undefined);
    const other = client(all, { readYourWrites: false });
    await other.create('c', {});
    await other.get('c', 'k', { readPreference: 'secondary' });
    assert.deepEqual(
      new Set(followers.flatMap(({ requests }) => requests).map(({ value }) => String(value.after))),
      new Set(['3,70', 'undefined']),
    );
  });

  it('a position is handed from client to client', async () => {
    const { followers, all } = await cluster();
    const other = client(all, { readPreference: 'secondary' });
    other.position = [3, 99];
    await other.get('c', 'k');
    assert.deepEqual(followers.flatMap(({ requests }) => requests)[0].value.after, [3, 99]);
  });

  it('STALE_READ goes to the leader where the preference allows it', async () => {
    const leader = await scripted(ok, { role_in_cluster: 'leader' });
    const follower = await scripted((request, self) => self.error(request, 'STALE_READ'), {
      role_in_cluster: 'follower',
      leader: leader.address,
    });
    const db = client([leader, follower]);
    await db.ping();
    await until(() => db.hosts.every(({ role }) => role !== 'unknown'));
    assert.equal((await db.get('c', 'k', { readPreference: 'secondaryPreferred' })).id, 'k');
    await assert.rejects(db.get('c', 'k', { readPreference: 'secondary' }), { code: 'STALE_READ' });
  });

  it('no node to use says which there are and why not', async () => {
    const follower = await scripted((request, self) => self.success(request, { role_in_cluster: 'follower', replication: {} }), {
      role_in_cluster: 'follower',
    });
    const db = client([follower, { address: '127.0.0.1:1' }], { serverSelectionTimeoutMS: 200 });
    await assert.rejects(
      db.create('c', {}),
      (error) =>
        error instanceof nexaclient.ServerSelectionError && error.hosts.length === 2 &&
        error.message.includes(`${follower.address} (follower)`) && /127\.0\.0\.1:1 \(unknown: .*ECONNREFUSED/.test(error.message),
    );
  });
});

describe('selection', () => {
  const node = (name, more) => ({ name, isOpen: true, role: 'follower', epoch: 1, roundTripMS: 1, inFlight: 0, ...more });
  const leader = node('leader', { role: 'leader' });

  it('takes the leader of the newest epoch', () => {
    assert.equal(choosePrimary([leader, node('newer', { role: 'leader', epoch: 2 })]).name, 'newer');
    assert.equal(choosePrimary([node('gone', { role: 'leader', isOpen: false })]), null);
    assert.equal(choosePrimary([node('alone', { role: 'single' })]).name, 'alone');
    assert.equal(choosePrimary([node('fenced', { role: 'fenced' })]), null);
  });

  it('keeps to the preference', () => {
    const followers = [node('a'), node('b')];
    const chosen = (nodes, preference) => chooseForRead(nodes, preference, 15, () => 0)?.role ?? null;
    assert.deepEqual(
      ['primary', 'primaryPreferred', 'secondary', 'secondaryPreferred', 'nearest'].map((one) =>
        chosen([leader, ...followers], one)
      ),
      ['leader', 'leader', 'follower', 'follower', 'leader'],
    );
    assert.deepEqual(
      ['primary', 'primaryPreferred', 'secondary', 'secondaryPreferred', 'nearest'].map((one) => chosen(followers, one)),
      [null, 'follower', 'follower', 'follower', 'follower'],
    );
    assert.deepEqual(
      ['primary', 'primaryPreferred', 'secondary', 'secondaryPreferred', 'nearest'].map((one) => chosen([leader], one)),
      ['leader', 'leader', null, 'leader', 'leader'],
    );
  });

  it('leaves out the slow ones and takes the less busy of two', () => {
    const nodes = [
      node('near', { roundTripMS: 2, inFlight: 9 }),
      node('near too', { roundTripMS: 16 }),
      node('far', { roundTripMS: 18 }),
    ];
    for (const random of [() => 0, () => 0.5, () => 0.99]) {
      assert.equal(chooseForRead(nodes, 'nearest', 15, random).name, 'near too');
    }
  });

  it('averages and backs off', () => {
    assert.equal(averaged(0, 10), 10);
    assert.equal(averaged(10, 20), 12);
    assert.deepEqual([0, 1, 2, 10, 100].map((attempt) => backOff(attempt, 250, () => 1)), [20, 40, 80, 250, 250]);
    assert.equal(backOff(0, 250, () => 0), 10);
  });
});

describe('the client', () => {
  it('lets what is under way finish when it is closed, and can be opened again', async () => {
    const node = await scripted((request, self) => setTimeout(() => ok(request, self), 50));
    const db = client(node);
    await db.connect();
    const pending = db.get('c', 'k');
    await db.disconnect();
    assert.equal((await pending).id, 'k');
    await assert.rejects(db.get('c', 'k'), { code: 'CLOSED' });
    await until(() => node.sockets.size === 0);
    await db.connect();
    assert.equal((await db.get('c', 'k')).id, 'k');
  });

  it('says to tracing tools what it does, and nothing of documents', async () => {
    const node = await scripted((
      request,
      self,
    ) => (request.value.key === 'bad' ? self.error(request, 'CONFLICT') : ok(request, self)));
    const events = [];
    const names = ['start', 'asyncEnd', 'error'].map((event) => `tracing:nexaclient:command:${event}`);
    const listen = (message, name) =>
      events.push([name.split(':').at(-1), message.operation, message.collection, message.error?.code]);
    names.forEach((name) => diagnostics.subscribe(name, listen));
    try {
      const db = client(node);
      await db.get('c', 'k');
      await assert.rejects(db.get('c', 'bad'));
    } finally {
      names.forEach((name) => diagnostics.unsubscribe(name, listen));
    }
    assert.deepEqual(events, [
      ['start', 'get', 'c', undefined],
      ['asyncEnd', 'get', 'c', undefined],
      ['start', 'get', 'c', undefined],
      ['error', 'get', 'c', 'CONFLICT'],
      ['asyncEnd', 'get', 'c', 'CONFLICT'],
    ]);
  });

  it('shows no password', async () => {
    const { inspect } = require('node:util');
    const db = new NexaClient('nexadb://anna:secret@localhost/shop?frobnicate=1');
    assert.equal(inspect(db), 'NexaClient localhost:6970/shop');
    assert.ok(!JSON.stringify(db).includes('secret'));
    assert.equal(db.warnings.length, 1);
    assert.throws(
      () => new NexaClient('nexadb://anna:sec/ret@localhost'),
      (error) => !error.message.includes('ret@') && error.code === 'CONFIGURATION',
    );
    assert.ok(!JSON.stringify(new NexaClient({ apiKey: 'nxdb_secret' })).includes('nxdb_secret'));
    assert.equal(new NexaClient({ tls: true, tlsInsecure: true }).warnings.length, 1);
    assert.throws(() => new NexaClient({ prot: 1 }), { code: 'CONFIGURATION' });
  });
});
