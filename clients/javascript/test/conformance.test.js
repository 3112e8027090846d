'use strict';

/** The contract that the three clients share (clients/conformance): addresses, cases against a node, and a hostile other side. */

const { describe, it, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { createInterface } = require('node:readline');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const nexaclient = require('..');
const { Node, root, python } = require('./support/node');
const { plain, holds } = require('./support/values');

const { NexaClient, parseAddress } = nexaclient;
const folder = path.join(root, 'clients/conformance');
const load = (name) => require(path.join(folder, name));

/** Whether the error is of the kind that the contract names. */
function isKind(error, kind) {
  const Class = nexaclient[`${kind}Error`];
  assert.ok(Class, `the client has no ${kind}Error`);
  return error instanceof Class;
}

describe('addresses', () => {
  for (const { description, uri, valid, mentions, warnings, ...expected } of load('uris.json')) {
    it(description, () => {
      if (!valid) {
        assert.throws(
          () => parseAddress(uri),
          (error) => error.code === 'CONFIGURATION' && error.message.toLowerCase().includes(mentions.toLowerCase()),
        );
        return;
      }
      const { warnings: told, ...parsed } = parseAddress(uri);
      assert.deepEqual(parsed, expected);
      assert.equal(told.length, warnings);
    });
  }
});

describe('cases', () => {
  let node;
  let db;
  before(async () => {
    node = await new Node().start();
    db = new NexaClient(`nexadb://${node.address}`);
  });
  after(async () => {
    await db?.disconnect();
    await node?.remove();
  });

  load('cases.json').forEach(({ name, steps }, index) => {
    it(name, async () => {
      const saved = { $c: `case${index}`, $d: `case${index}d` };
      await run(db, steps, saved);
    });
  });
});

async function run(db, steps, saved) {
  for (const step of steps) {
    if (step.op === 'repeat') {
      for (let i = 0; i < step.times; i++) await run(db, step.steps, saved);
      continue;
    }
    const value = (name) => (step[name] === undefined ? undefined : plain(step[name], saved));
    const failure = step.error;
    if (failure !== undefined) {
      await assert.rejects(async () => perform(db, step, value), (error) => {
        assert.ok(isKind(error, failure.kind), `${error.name} (${error.message}) is no ${failure.kind}`);
        if (failure.code !== undefined) assert.equal(error.code, failure.code);
        if (failure.mentions !== undefined) assert.ok(error.message.includes(failure.mentions), error.message);
        return true;
      });
      continue;
    }
    const result = await perform(db, step, value);
    if ('expect' in step) {
      assert.ok(holds(result, step.expect, saved), `${JSON.stringify(step).slice(0, 500)}\ngave ${show(result)}`);
    }
    if (step.save !== undefined) saved[step.save] = step.path === undefined ? result : result[step.path];
  }
}

async function perform(db, step, value) {
  const collection = value('collection');
  const query = { sort: value('sort'), limit: value('limit'), skip: value('skip'), projection: value('projection') };
  switch (step.op) {
    case 'ping':
      return db.ping();
    case 'create':
      return db.create(collection, value('data'));
    case 'get':
      return db.get(collection, value('key'));
    case 'update':
      return db.update(collection, value('key'), value('updates'), { upsert: value('upsert'), ifMatch: value('ifMatch') });
    case 'delete':
      return db.delete(collection, value('key'));
    case 'query':
      return db.query(collection, value('filters'), query);
    case 'count':
      return db.count(collection, value('filters'));
    case 'find':
      return taken(db.find(collection, value('filters'), { ...query, batchSize: value('batchSize') }), step.take);
    case 'batch':
      return db.batchWrite(collection, value('documents') ?? value('operations'), {
        operations: 'operations' in step,
        atomic: value('atomic'),
        ordered: value('ordered'),
      });
    case 'bulk': {
      const bulk = db.bulk(collection);
      for (const document of value('documents')) await bulk.insert(document);
      return (await bulk.flush()).acknowledged;
    }
    case 'vectorSearch':
      return db.vectorSearch(collection, value('vector'), {
        limit: value('limit'),
        filters: value('filters'),
        metric: value('metric'),
      });
    case 'listCollections':
      return db.listCollections();
    case 'dropCollection':
      return db.dropCollection(collection);
    default:
      throw new Error(`this runner does not know ${step.op}`);
  }
}

/** The documents of a cursor, at most `take`; it is closed in any case. */
async function taken(cursor, take = Infinity) {
  const documents = [];
  for await (const document of cursor) {
    documents.push(document);
    if (documents.length >= take) break;
  }
  return documents;
}

function show(value) {
  return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `${one}n` : one))?.slice(0, 1000);
}

describe('a hostile other side', { concurrency: 2 }, () => {
  const strays = [];
  const note = (error) => strays.push(error);
  before(() => process.on('unhandledRejection', note).on('warning', note));
  after(() => process.off('unhandledRejection', note).off('warning', note));

  for (const { name, scenario, options, steps, requestsAtMost } of load('hostile.json')) {
    it(name, async () => {
      const other = await new Hostile(scenario).start();
      const db = new NexaClient({ host: '127.0.0.1', port: other.port, ...options });
      let requestID = 0;
      db.on('error', (error) => strays.push(error));
      try {
        for (const step of steps) await attempt(db, step, () => ++requestID);
        if (requestsAtMost !== undefined) {
          const { requests } = await other.stats();
          assert.ok(requests <= requestsAtMost, `${requests} requests were sent`);
        }
      } finally {
        await db.disconnect({ graceMS: 0 });
      }
      const deadline = Date.now() + 20_000;
      while ((await other.stats()).open > 0) {
        assert.ok(Date.now() < deadline, 'a connection is left');
        await sleep(10);
      }
      await other.stop();
      assert.deepEqual(strays, []);
    });
  }

  async function attempt(db, { op, kinds = [], answered, within, take }, nextID) {
    const started = performance.now();
    let result;
    let failure;
    try {
      switch (op) {
        case 'get':
          result = await db.get('c', 'k');
          break;
        case 'create':
          result = await db.create('c', { n: 1 });
          break;
        case 'query':
          result = await db.query('c');
          break;
        case 'find':
          result = await taken(db.find('c'), take);
          break;
        default:
          throw new Error(`this runner does not know ${op}`);
      }
    } catch (error) {
      failure = error;
    }
    const took = performance.now() - started;
    assert.ok(took <= within, `${op} took ${took} ms`);
    nextID();
    if (failure !== undefined) {
      assert.ok(kinds.some((kind) => isKind(failure, kind)), `${failure.stack} is none of ${kinds}`);
    } else if (op === 'find') {
      assert.equal(result.length, take);
    } else {
      assert.ok(answered, `${op} succeeded: ${show(result)}`);
      assert.equal(result.id, 'k');
    }
  }
});

/** `hostile.py SCENARIO` as a child process. */
class Hostile {
  constructor(scenario) {
    this.scenario = scenario;
  }

  async start() {
    this.process = spawn(python, ['-I', path.join(folder, 'hostile.py'), this.scenario], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    const { value } = await this.lines.next();
    this.port = Number(value.split(' ')[1]);
    return this;
  }

  async stats() {
    this.process.stdin.write('stats\n');
    return JSON.parse((await this.lines.next()).value);
  }

  async stop() {
    const gone = new Promise((resolve) => {
      this.process.once('exit', resolve);
    });
    this.process.stdin.end();
    await gone;
  }
}
