'use strict';

/**
 * A cluster of three nodes: the leader is found and followed, writes are read on every node, a switchover under load loses nothing.
 */

const { describe, it, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');
const { NexaClient } = require('..');
const { Cluster } = require('./support/cluster');

describe('a cluster', () => {
  let cluster;
  const clients = [];
  const client = (options) => {
    const db = new NexaClient({ hosts: cluster.hosts, timeoutMS: 20_000, serverSelectionTimeoutMS: 15_000, ...options });
    clients.push(db);
    return db;
  };
  before(async () => {
    cluster = await new Cluster().start();
  });
  after(async () => {
    await Promise.all(clients.map((db) => db.disconnect({ graceMS: 0 })));
    await cluster?.remove();
  });

  it('is found through any of its nodes', async () => {
    for (const host of cluster.hosts) {
      const db = client({ hosts: [host] });
      assert.equal((await db.create('found', { host })).host, host);
      assert.ok(db.hosts.some(({ role }) => role === 'leader'));
    }
  });

  it('lets one read what one wrote, on every node', async () => {
    const db = client({ readPreference: 'secondary' });
    for (let i = 0; i < 200; i++) {
      const { id } = await db.create('own', { i });
      assert.equal((await db.get('own', id))?.i, i);
      assert.equal(await db.count('own'), i + 1);
    }
    const other = client({ readPreference: 'nearest' });
    other.position = db.position;
    assert.equal(await other.count('own'), 200);
  });

  it('is read where the preference says', async () => {
    const ids = async (readPreference) => {
      // The window is wide: how far each node seems is up to who else uses the machine.
      const db = client({ readPreference, localThresholdMS: 20_000 });
      await db.ping();
      const deadline = Date.now() + 20_000;
      while (db.hosts.filter(({ role }) => role !== 'unknown').length < 3) {
        assert.ok(Date.now() < deadline, `not all nodes are known: ${JSON.stringify(db.hosts)}`);
        await sleep(10);
      }
      const seen = new Set();
      for (let i = 0; i < 40; i++) seen.add((await db.status()).role_in_cluster);
      return [...seen].sort();
    };
    assert.deepEqual(await ids('primary'), ['leader']);
    assert.deepEqual(await ids('secondary'), ['follower']);
    assert.deepEqual(await ids('secondaryPreferred'), ['follower']);
    assert.deepEqual(await ids('nearest'), ['follower', 'leader']);
  });

  it('hands its leadership over under load, and no majority write fails, is lost or is there twice', async () => {
    const db = client({ w: 'majority' });
    const acknowledged = [];
    let isOver = false;
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let i = 0; !isOver; i++) {
        await db.create('handed', { mark: `${lane}-${i}` });
        acknowledged.push(`${lane}-${i}`);
      }
    });
    lanes.forEach((lane) => lane.catch(() => {}));
    const rounds = 3 * Number(process.env.NEXA_CHAOS_ROUNDS ?? 1);
    try {
      for (let round = 0; round < rounds; round++) {
        await sleep(200);
        await cluster.switchover();
      }
      await cluster.settle();
    } finally {
      isOver = true;
    }
    await Promise.all(lanes);
    const found = (await db.find('handed').toArray()).map(({ mark }) => mark);
    const distinct = new Set(found);
    assert.ok(acknowledged.length > 100, `${acknowledged.length} writes`);
    assert.equal(found.length, distinct.size);
    assert.deepEqual(new Set(acknowledged), distinct);
  });

  it('tells changes in order, on whatever node, while the leadership moves', async () => {
    const db = client({ w: 'majority' });
    const streams = await Promise.all(
      ['primary', 'secondary'].map((readPreference) => db.collection('told').watch({ readPreference }).ready()),
    );
    let written = 0;
    let isOver = false;
    const writer = (async () => {
      while (!isOver) await db.create('told', { n: written++ });
    })();
    writer.catch(() => {});
    try {
      for (let round = 0; round < 2; round++) {
        await sleep(200);
        await cluster.switchover();
      }
    } finally {
      isOver = true;
    }
    await writer;
    for (const stream of streams) {
      for (let n = 0; n < written; n++) assert.equal((await stream.next()).fullDocument.n, n);
      await stream.close();
    }
  });

  it('goes on without a follower, and with another leader after that one is gone', async () => {
    const leader = await cluster.settle();
    const follower = cluster.nodes.find((node) => node !== leader);
    const db = client({ w: 'majority', readPreference: 'secondaryPreferred' });
    await db.create('gone', { _id: 'a' });
    await follower.stop('SIGKILL');
    await db.create('gone', { _id: 'b' });
    assert.equal((await db.get('gone', 'b')).id, 'b');
    await follower.start();
    await cluster.settle();
    assert.equal(await db.count('gone'), 2);
  });
});
