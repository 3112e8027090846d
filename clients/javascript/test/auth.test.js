'use strict';

/** Log-in and roles, against nodes that ask for them. */

const { describe, it, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { NexaClient, AuthenticationError, PermissionError } = require('..');
const { Node, binary, environment } = require('./support/node');

describe('a node that asks for a log-in', () => {
  let node;
  let admin;
  const open = [];
  const client = (options) => {
    const db = new NexaClient({ host: '127.0.0.1', port: node.port, serverSelectionTimeoutMS: 5000, ...options });
    open.push(db);
    return db;
  };
  before(async () => {
    node = new Node();
    const password = path.join(node.directory, 'password');
    writeFileSync(password, 'secret\n', { mode: 0o600 });
    execFileSync(binary, [
      'user',
      'add',
      'ann',
      '--role',
      'admin',
      '--new-password-file',
      password,
      '--data-dir',
      path.join(node.directory, 'data'),
    ], { env: environment(), timeout: 30_000 });
    await node.start();
    admin = client({ username: 'ann', password: 'secret' });
  });
  after(async () => {
    await Promise.all(open.map((db) => db.disconnect({ graceMS: 0 })));
    await node?.remove();
  });

  it('lets nobody in without credentials, and none are made up', async () => {
    await assert.rejects(client({}).get('c', 'k'), AuthenticationError);
  });

  it('refuses a wrong password at once, and the error does not hold it', async () => {
    const started = performance.now();
    await assert.rejects(
      client({ username: 'ann', password: 'wrong-one', serverSelectionTimeoutMS: 30_000 }).connect(),
      (error) =>
        error instanceof AuthenticationError && error.code === 'UNAUTHENTICATED' && !String(error.stack).includes('wrong-one'),
    );
    assert.ok(performance.now() - started < 15_000);
  });

  it('knows users by password, by address and by key, and what they may do', async () => {
    await admin.create('c', { _id: 'k' });
    const { api_key: apiKey } = await admin.createUser('bob', 'pw of bob', { role: 'read' });
    const address = new NexaClient(`nexadb://bob:pw%20of%20bob@${node.address}`);
    open.push(address);
    for (const bob of [client({ username: 'bob', password: 'pw of bob' }), client({ apiKey }), address]) {
      assert.equal((await bob.get('c', 'k')).id, 'k');
      await assert.rejects(bob.create('c', {}), (error) => error instanceof PermissionError && error.code === 'FORBIDDEN');
    }
    assert.deepEqual(Object.keys(await admin.listUsers()).sort(), ['ann', 'bob']);
    await admin.alterUser('bob', { role: 'write' });
    await address.create('c', {});
    await admin.changePassword('bob', 'another');
    await assert.rejects(address.get('c', 'k'), AuthenticationError);
    const renewed = client({ username: 'bob', password: 'another' });
    assert.equal((await renewed.get('c', 'k')).id, 'k');
    const altered = await admin.alterUser('bob', { role: 'read', newPassword: 'a third', newAPIKey: true });
    await assert.rejects(renewed.get('c', 'k'), AuthenticationError);
    for (const bob of [client({ username: 'bob', password: 'a third' }), client({ apiKey: altered.api_key })]) {
      assert.equal((await bob.get('c', 'k')).id, 'k');
      await assert.rejects(bob.create('c', {}), PermissionError);
    }
    await admin.deleteUser('bob');
    await assert.rejects(renewed.get('c', 'k'), AuthenticationError);
  });
});

describe('a node that begins to ask', () => {
  it('is logged in to again by those who have credentials, without an error', async () => {
    const node = await new Node().start();
    const options = { host: '127.0.0.1', port: node.port };
    const first = new NexaClient(options);
    const second = new NexaClient({ ...options, username: 'ann', password: 'secret' });
    try {
      await second.create('c', { _id: 'k' });
      await first.createUser('ann', 'secret', { role: 'admin' });
      assert.equal((await second.get('c', 'k')).id, 'k');
      await assert.rejects(first.get('c', 'k'), AuthenticationError);
    } finally {
      await first.disconnect({ graceMS: 0 });
      await second.disconnect({ graceMS: 0 });
      await node.remove();
    }
  });
});
