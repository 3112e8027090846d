'use strict';

/** TLS, against a node's own, and against a server of Node's that ends it in front of one: what the client trusts, and what it refuses. */

const { describe, it, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const tls = require('node:tls');
const { NexaClient, ServerSelectionError, ConfigurationError } = require('..');
const { Node } = require('./support/node');

/** Ends TLS and hands the bytes on to the node. */
async function front(node, options) {
  const server = tls.createServer(options, (socket) => {
    const inner = net.connect(node.port, '127.0.0.1');
    for (const [one, other] of [[socket, inner], [inner, socket]]) {
      one.on('error', () => other.destroy());
      one.pipe(other);
    }
  });
  server.on('tlsClientError', () => {});
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { port: server.address().port, address: `127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

describe('TLS', () => {
  let node;
  let door;
  let old;
  const files = {};
  before(async () => {
    node = await new Node().start();
    for (const name of ['cert', 'key', 'other', 'otherKey']) files[name] = path.join(node.directory, `${name}.pem`);
    for (const [key, certificate] of [[files.key, files.cert], [files.otherKey, files.other]]) {
      execFileSync('openssl', [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-keyout',
        key,
        '-out',
        certificate,
        '-days',
        '2',
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1',
      ], { stdio: 'ignore' });
    }
    const keys = { cert: readFileSync(files.cert), key: readFileSync(files.key) };
    door = await front(node, { ...keys, minVersion: 'TLSv1.3' });
    old = await front(node, { ...keys, maxVersion: 'TLSv1.2' });
  });
  after(async () => {
    door?.stop();
    old?.stop();
    await node?.remove();
  });

  it('carries everything, to a node whose certificate is vouched for', async () => {
    const db = new NexaClient(`nexadbs://${door.address}/?tlsCAFile=${encodeURIComponent(files.cert)}`);
    try {
      await db.create('c', { _id: 'k', text: 'x'.repeat(100_000) });
      assert.equal((await db.get('c', 'k')).text.length, 100_000);
      assert.equal((await Promise.all(Array.from({ length: 5 }, () => db.get('c', 'k')))).length, 5);
    } finally {
      await db.disconnect();
    }
  });

  it('is what a node with a certificate speaks, and checks in turn who comes', async () => {
    const more = ['--tls-cert', files.cert, '--tls-key', files.key];
    const trusting = new Node(...more);
    const strict = new Node(...more, '--tls-ca', files.other);
    try {
      await Promise.all([trusting.start(), strict.start()]);
      const ca = `tlsCAFile=${encodeURIComponent(files.cert)}`;
      const db = new NexaClient(`nexadbs://${trusting.address}/?${ca}`);
      await db.create('c', { _id: 'k', text: 'x'.repeat(300_000) });
      assert.equal((await db.get('c', 'k')).text.length, 300_000);
      await db.disconnect();
      const stranger = new NexaClient(`nexadbs://${strict.address}/?${ca}`, { serverSelectionTimeoutMS: 1500 });
      await assert.rejects(stranger.ping(), ServerSelectionError);
      await stranger.disconnect();
      const own = `tlsCertFile=${encodeURIComponent(files.other)}&tlsKeyFile=${encodeURIComponent(files.otherKey)}`;
      const known = new NexaClient(`nexadbs://${strict.address}/?${ca}&${own}`);
      await known.ping();
      await known.disconnect();
    } finally {
      await Promise.all([trusting.remove(), strict.remove()]);
    }
  });

  it('says why it does not trust a node', async () => {
    for (const tlsCAFile of [files.other, undefined]) {
      const db = new NexaClient({ host: '127.0.0.1', port: door.port, tls: true, tlsCAFile, serverSelectionTimeoutMS: 1500 });
      await assert.rejects(
        db.ping(),
        (error) => error instanceof ServerSelectionError && /self.signed|certificate/i.test(error.message),
      );
      await db.disconnect();
    }
  });

  it('trusts anybody only where it is told so, with a warning', async () => {
    const db = new NexaClient(`nexadbs://${door.address}/?tlsInsecure=true`);
    assert.equal(db.warnings.length, 1);
    await db.ping();
    await db.disconnect();
  });

  it('is not fallen back from', async () => {
    const db = new NexaClient({ host: '127.0.0.1', port: door.port, serverSelectionTimeoutMS: 1500 });
    await assert.rejects(db.ping(), ServerSelectionError);
    await db.disconnect();
  });

  it('is version 1.3 or nothing', async () => {
    const db = new NexaClient(`nexadbs://${old.address}/?tlsInsecure=true`, { serverSelectionTimeoutMS: 1500 });
    await assert.rejects(db.ping(), ServerSelectionError);
    await db.disconnect();
  });

  it('says which file it cannot read', () => {
    assert.throws(
      () => new NexaClient('nexadbs://localhost/?tlsCAFile=/nowhere/ca.pem'),
      (error) => error instanceof ConfigurationError && error.message.includes('/nowhere/ca.pem'),
    );
  });
});
