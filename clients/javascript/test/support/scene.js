'use strict';

/** Nodes that are played by a script, and clients of them, which are gone when the test that made them ends. */

const assert = require('node:assert/strict');
const { afterEach } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { NexaClient } = require('../..');
const { ScriptedNode } = require('./scripted');

const open = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

/** Anything with a `stop` that is called when the test ends. */
function closing(one) {
  open.push(one);
  return one;
}

async function scripted(answer, greeting = {}) {
  const node = new ScriptedNode(answer);
  node.greeting = greeting;
  return closing(await node.start());
}

/** A client whose operations, and whose search for a node, may take `budgetMS`. */
function clientOf(nodes, budgetMS, options = {}) {
  const hosts = [nodes].flat().map(({ address }) => address);
  const db = new NexaClient({ hosts, timeoutMS: budgetMS, serverSelectionTimeoutMS: budgetMS, ...options });
  closing({ stop: () => db.disconnect({ graceMS: 0 }) });
  return db;
}

async function until(condition) {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'it did not come to that');
    await sleep(2);
  }
}

const document = (request) => ({ _id: request.value.key ?? 'k', id: request.value.key ?? 'k' });
const ok = (request, node) => node.success(request, document(request));

module.exports = { closing, scripted, clientOf, until, document, ok };
