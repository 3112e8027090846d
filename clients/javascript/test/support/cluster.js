'use strict';

/** A leader and two followers on ports that are known before they start, as their members' list wants it. */

const net = require('node:net');
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { setTimeout: sleep } = require('node:timers/promises');
const { Node, binary, environment } = require('./node');
const { NexaClient } = require('../..');

async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, () =>
    new Promise((resolve, reject) => {
      const server = net.createServer();
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve(server));
    })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) =>
    new Promise((resolve) => {
      server.close(resolve);
    })
  ));
  return ports;
}

class Cluster {
  async start() {
    const ports = await freePorts(3);
    const members = ports.map((port, i) => `n${i + 1}=127.0.0.1:${port}`).join(',');
    this.nodes = ports.map((port, i) => {
      const node = new Node(
        '--node-name',
        `n${i + 1}`,
        '--members',
        members,
        ...(i > 0 ? ['--follow', `127.0.0.1:${ports[0]}`] : []),
      );
      node.port = port;
      node.name = `n${i + 1}`;
      return node;
    });
    for (const node of this.nodes) await node.start();
    await this.settle();
    return this;
  }

  get hosts() {
    return this.nodes.map(({ address }) => address);
  }

  /** Until one node leads, feeds both others, and these know it. Gives the leader. */
  async settle(withinMS = 30_000) {
    const deadline = Date.now() + withinMS;
    for (;;) {
      const states = await Promise.all(this.nodes.map(async (node) => (await this.status(node)).replication ?? {}));
      // One that was deposed says for a moment that it leads.
      const newest = Math.max(...states.map(({ promised_epoch: epoch = 0 }) => epoch));
      const index = states.findIndex(({ role, epoch }) => role === 'leader' && epoch === newest);
      const leader = this.nodes[index];
      const fed = (states[index]?.followers ?? []).filter(({ state }) => state === 'streaming').length;
      if (fed === 2 && states.every((state, i) => i === index || state.leader === leader.address)) return leader;
      if (Date.now() > deadline) throw new Error(`the cluster does not come to rest: ${JSON.stringify(states)}`);
      await sleep(50);
    }
  }

  async status(node) {
    const db = new NexaClient({ host: '127.0.0.1', port: node.port, readPreference: 'nearest', discover: false, timeoutMS: 2000 });
    try {
      return await db.status();
    } catch {
      return {};
    } finally {
      await db.disconnect({ graceMS: 0 });
    }
  }

  /** Hands the leadership to the next node. A follower that is away for a moment cannot take it: then once more. */
  async switchover() {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const leader = await this.settle();
      const target = this.nodes[(this.nodes.indexOf(leader) + 1) % 3];
      try {
        return await promisify(execFile)(binary, ['switchover', leader.address, '--to', target.name], {
          env: environment(),
          timeout: 30_000,
        });
      } catch (error) {
        if (Date.now() > deadline || !/not handed over/.test(error.message)) throw error;
      }
    }
  }

  async remove() {
    await Promise.all((this.nodes ?? []).map((node) => node.remove()));
  }
}

module.exports = { Cluster };
