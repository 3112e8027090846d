'use strict';

/**
 * One node and the connections to it: opened when wanted, opened again with growing pauses when lost, asked now and then what the
 * node is.
 *
 * `wanted` says whether an operation waits for a node: then pauses are short. Everything that changes is told to the owner by
 * `onChange`.
 */

const { Connection } = require('../connection');
const { Type } = require('../wire/protocol');
const { ConnectionError, AuthenticationError, ClosedError, OverloadedError, errorFromAnswer } = require('../errors');
const { formatHost } = require('../address');
const { averaged, backOff } = require('./selection');

const WANTED_PAUSE_MS = 250;
const IDLE_PAUSE_MS = 5_000;
/** A log-in that was refused is not tried again for so long: the node counts failures. */
const REFUSED_PAUSE_MS = 1_000;

class Host {
  /** @param {{host: string, port: number}} target @param {object} owner the topology */
  constructor(target, owner) {
    this.target = target;
    this.address = formatHost(target);
    this.owner = owner;
    this.connections = [];
    this.opening = 0;
    this.role = 'unknown';
    this.epoch = 0;
    this.leader = null;
    this.nodeID = null;
    this.roundTripMS = 0;
    this.lastError = null;
    this.failures = 0;
    this.timer = null;
    this.timerAt = 0;
    this.asked = new Set();
    this.slowUntil = 0;
    this.refusedUntil = 0;
    this.isStopped = false;
  }

  /** The node refused the log-in, and nobody tries again just now. */
  get isRefused() {
    return !this.isOpen && this.opening === 0 && this.lastError instanceof AuthenticationError;
  }

  get isOpen() {
    return this.connections.length > 0;
  }

  get inFlight() {
    return this.connections.reduce((sum, connection) => sum + connection.pending.size, 0);
  }

  /** The least busy open connection, or null. */
  pick() {
    const connections = this.connections;
    if (connections.length < 2) return connections[0] ?? null;
    let best = connections[0];
    for (const connection of connections) if (connection.pending.size < best.pending.size) best = connection;
    return best;
  }

  /** Sees to it that connections are there or on their way. */
  ensure() {
    if (this.isStopped || performance.now() < this.refusedUntil) return;
    if (this.timer !== null) {
      // Whoever waits now need not wait for the rest of a long pause.
      if (!this.owner.isWanted || this.timerAt - performance.now() <= WANTED_PAUSE_MS) return;
      this.clearTimer();
    }
    const missing = this.isOpen ? this.owner.settings.poolSize - this.connections.length : 1;
    for (let i = this.opening; i < missing; i++) this.open();
  }

  open() {
    this.opening++;
    const connection = new Connection(this.target, this.owner.settings, (closed, error) => this.lost(closed, error));
    this.owner.tracked.add(connection);
    connection.open(this.owner.settings.connectTimeoutMS).then(() => this.opened(connection), (error) => this.failed(error));
  }

  opened(connection) {
    // It may be lost again already: then nobody else would try anew.
    if (!connection.isOpen) return this.failed(connection.failure);
    this.opening--;
    if (this.isStopped) return connection.close(new ClosedError('The client was closed'));
    this.connections.push(connection);
    this.failures = 0;
    this.lastError = null;
    this.roundTripMS = averaged(this.roundTripMS, connection.roundTripMS);
    this.learn(connection.info);
    this.ensure();
  }

  failed(error) {
    this.opening--;
    this.lastError = error;
    if (this.isStopped) return;
    // The next operation tries again; nobody knocks in the background with a password that is wrong.
    if (error instanceof AuthenticationError) this.refusedUntil = performance.now() + REFUSED_PAUSE_MS;
    else this.pause(error instanceof OverloadedError ? Number(error.details.retry_after_ms) || 0 : 0);
    this.owner.onChange(this);
  }

  /** This connection takes no further operations; it is closed when those under way are done. */
  retire(connection, error) {
    const index = this.connections.indexOf(connection);
    if (index < 0) return;
    this.connections.splice(index, 1);
    if (!this.isOpen) this.role = 'unknown';
    connection.closeWhenIdle(error);
    this.ensure();
    this.owner.onChange(this);
  }

  lost(connection, error) {
    this.owner.tracked.delete(connection);
    const index = this.connections.indexOf(connection);
    if (index < 0) return;
    this.connections.splice(index, 1);
    this.lastError = error;
    if (!this.isOpen) this.role = 'unknown';
    if (this.isStopped) return;
    this.pause();
    this.owner.onChange(this);
  }

  /** Tries again after a pause that grows with the failures in a row. */
  pause(leastMS = 0) {
    if (this.timer !== null) return;
    const wait = leastMS + backOff(this.failures++, this.owner.isWanted ? WANTED_PAUSE_MS : IDLE_PAUSE_MS);
    this.timerAt = performance.now() + wait;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.ensure();
    }, wait);
    // Operations that wait keep the process alive by their own time limit.
    this.timer.unref();
  }

  clearTimer() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  /** What CONNECT or STATUS said about the node. */
  learn(info) {
    this.role = String(info.role_in_cluster ?? 'single');
    this.epoch = Number(info.epoch ?? this.epoch);
    this.leader = typeof info.leader === 'string' && info.leader !== '' ? info.leader : null;
    this.nodeID = info.node_id ?? null;
    this.owner.onChange(this);
  }

  /** The node said that it does not lead; `leader` is whom it names. */
  deposed(leader) {
    this.role = 'follower';
    this.leader = leader;
    this.owner.onChange(this);
  }

  /** Asks the node what it is, on every connection: one on which it says nothing for `silenceMS` is closed. */
  ask(silenceMS) {
    for (const connection of [...this.connections]) {
      if (connection.isOpen && !this.asked.has(connection)) this.askOn(connection, silenceMS);
    }
  }

  askOn(connection, silenceMS) {
    this.asked.add(connection);
    const askedAt = performance.now();
    const timer = setTimeout(() => {
      this.asked.delete(connection);
      if (connection.lastHeard < askedAt) connection.close(new ConnectionError(`${this.address} said nothing for ${silenceMS} ms`));
    }, silenceMS);
    timer.unref();
    const done = (learn) => {
      clearTimeout(timer);
      this.asked.delete(connection);
      learn?.();
    };
    try {
      connection.send(
        {
          answer: (_, type, status) =>
            done(() => {
              this.roundTripMS = averaged(this.roundTripMS, performance.now() - askedAt);
              if (type === Type.SUCCESS) this.learn({ ...status, ...positionOf(status) });
              else this.lastError = errorFromAnswer(status);
            }),
          lost: () => done(),
        },
        Type.STATUS,
        0,
        (encoder) => encoder.writeMapHeader(0),
      );
    } catch (error) {
      done(() => {
        this.lastError = error;
      });
    }
  }

  stop(error) {
    this.isStopped = true;
    this.clearTimer();
    for (const connection of [...this.connections]) connection.close(error);
  }

  /** The address, what the node is and can, and what went wrong last. */
  describe() {
    return { address: this.address, role: this.role, features: [...this.pick()?.features ?? []], error: this.lastError };
  }
}

/** Where STATUS keeps what CONNECT says at the top. */
function positionOf(status) {
  const replication = status?.replication ?? {};
  return { leader: replication.leader ?? null, epoch: replication.epoch ?? status?.engine?.epoch };
}

module.exports = { Host };
