'use strict';

/**
 * The nodes that a client knows: those of its address, and leaders that these name.
 *
 * Nodes are connected to when the first operation comes. While an operation waits for a node, all are asked what they are several
 * times a second; otherwise every `heartbeatMS`. `onChange` of the owner is called whenever the next choice may come out
 * differently.
 */

const { Host } = require('./host');
const { readHost, formatHost } = require('../address');
const { choosePrimary, chooseForRead } = require('./selection');
const { ClosedError } = require('../errors');

const SEEK_MS = 100;
const SILENCE_MS = 5_000;
/** Leaders that nodes may name beside those of the address. */
const DISCOVERED_MAX = 64;

class Topology {
  /** @param {{host: string, port: number}[]} targets @param {object} settings @param {() => void} changed */
  constructor(targets, settings, changed) {
    this.settings = settings;
    this.changed = changed;
    this.hosts = new Map();
    this.tracked = new Set();
    this.isWanted = false;
    this.isStarted = false;
    this.isStopped = false;
    this.heartbeat = null;
    this.seeking = null;
    this.primary = null;
    for (const target of targets) this.add(target);
  }

  add(target) {
    const address = formatHost(target);
    let host = this.hosts.get(address);
    if (host === undefined) {
      host = new Host(target, this);
      this.hosts.set(address, host);
    }
    return host;
  }

  start() {
    if (this.isStarted) return;
    this.isStarted = true;
    for (const host of this.hosts.values()) host.ensure();
    this.heartbeat = setInterval(() => this.ask(), this.settings.heartbeatMS);
    this.heartbeat.unref();
  }

  ask() {
    for (const host of this.hosts.values()) host.ask(SILENCE_MS);
  }

  seek() {
    for (const host of this.hosts.values()) host.ensure();
    this.ask();
  }

  /** Somebody waits for a node (or nobody any more). */
  want(isWanted) {
    this.isWanted = isWanted;
    if (!isWanted) {
      clearInterval(this.seeking);
      this.seeking = null;
    } else if (this.seeking === null && !this.isStopped) {
      this.seek();
      // It also keeps the process alive while an operation waits and no socket is open.
      this.seeking = setInterval(() => this.seek(), SEEK_MS);
    }
  }

  onChange(host) {
    if (this.isStopped) return;
    if (this.settings.discover && host.leader !== null && host.role !== 'leader') this.discover(host.leader);
    this.primary = choosePrimary(this.hosts.values());
    this.changed();
  }

  /** A node named its leader. */
  discover(address) {
    if (this.hosts.has(address) || this.hosts.size >= DISCOVERED_MAX) return this.hosts.get(address)?.ensure();
    let target;
    try {
      target = readHost(address);
    } catch {
      return;
    }
    if (this.isKnown(target)) return;
    this.add(target).ensure();
  }

  /** Whether a node of the address is the one named: `localhost` and `127.0.0.1` with one port are one node. */
  isKnown(target) {
    const isLoopback = (host) => host === 'localhost' || host === '127.0.0.1' || host === '::1';
    for (const host of this.hosts.values()) {
      if (
        host.target.port === target.port &&
        (host.target.host === target.host || (isLoopback(host.target.host) && isLoopback(target.host)))
      ) return true;
    }
    return false;
  }

  /** A node for an operation, or null. */
  choose(operation) {
    if (operation.isWrite || operation.needsPrimary || operation.readPreference === 'primary') return this.primary;
    return chooseForRead([...this.hosts.values()], operation.readPreference, this.settings.localThresholdMS);
  }

  /** The error that no waiting can mend, where every node refused the log-in. */
  get hopeless() {
    const hosts = [...this.hosts.values()];
    return hosts.every((host) => host.isRefused) ? hosts[0].lastError : null;
  }

  describe() {
    return [...this.hosts.values()].map((host) => host.describe());
  }

  stop() {
    this.isStopped = true;
    clearInterval(this.heartbeat);
    clearInterval(this.seeking);
    const error = new ClosedError('The client was closed');
    for (const host of this.hosts.values()) host.stop(error);
    for (const connection of [...this.tracked]) connection.close(error);
  }
}

module.exports = { Topology };
