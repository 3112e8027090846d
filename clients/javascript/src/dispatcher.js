'use strict';

/**
 * Takes operations to nodes and brings their results back: bounds, selection, time, retries.
 *
 *     dispatched --> waiting for a node --> sent --> settled
 *                        ^                    |
 *                        +---- (retry) -------+
 *
 * What may be sent again stands in `retry.js`. An operation settles once; time runs from the call, whatever happens in between.
 */

const { randomBytes } = require('node:crypto');
const { Topology } = require('./topology/topology');
const { Deadlines } = require('./deadlines');
const { copyBytes } = require('./request');
const { afterLoss, afterRefusal } = require('./retry');
const { Type, Flag } = require('./wire/protocol');
const { commandChannel } = require('./diagnostics');
const errors = require('./errors');

/** How long a node that asked for slower writes is spared, and by how much each write waits. */
const SLOW_FOR_MS = 100;
const SLOW_BY_MS = 20;

class Dispatcher {
  /** @param {{host: string, port: number}[]} targets @param {object} settings */
  constructor(targets, settings) {
    this.settings = settings;
    this.clientID = randomBytes(16);
    this.counter = 0;
    this.session = { epoch: 0, lsn: 0, host: null };
    this.deadlines = new Deadlines((operation) => this.expired(operation));
    this.waiting = new Set();
    this.isClosed = false;
    this.listeners = new Set();
    this.topology = new Topology(targets, settings, () => this.changed());
  }

  // From call to node

  /** @returns {Promise<unknown>} */
  run(operation) {
    return new Promise((resolve, reject) => this.begin(operation, resolve, reject));
  }

  /** Begins an operation for those who follow it further (cursors). */
  begin(operation, resolve, reject) {
    operation.dispatcher = this;
    operation.resolve = resolve;
    operation.reject = reject;
    if (commandChannel.hasSubscribers) {
      operation.trace = commandChannel.begin({ operation: operation.name, collection: operation.collection });
    }
    const refusal = this.refusalOf(operation);
    if (refusal !== null) {
      operation.isSettled = true;
      operation.trace?.end(refusal);
      reject(refusal);
      return;
    }
    if (operation.timeoutMS > 0) operation.deadline = performance.now() + operation.timeoutMS;
    if (operation.takesID) operation.counter = ++this.counter;
    if (operation.signal !== undefined) this.listenToAbort(operation);
    this.deadlines.add(operation);
    this.topology.start();
    this.route(operation);
  }

  refusalOf(operation) {
    if (this.isClosed) return new errors.ClosedError('The client is closed');
    if (operation.signal?.aborted) return cancelled(operation, operation.signal.reason);
    if (this.deadlines.count >= this.settings.maxQueue) {
      return new errors.QueueFullError(`${this.deadlines.count} operations wait for an answer, as many as maxQueue allows`);
    }
    return null;
  }

  listenToAbort(operation) {
    operation.onAbort = () => this.giveUp(operation, cancelled(operation, operation.signal.reason));
    operation.signal.addEventListener('abort', operation.onAbort, { once: true });
  }

  /** Sends it to a node that fits, or has it wait for one. */
  route(operation) {
    const host = this.topology.choose(operation);
    const connection = host?.pick() ?? null;
    if (connection === null) return this.wait(operation);
    if (operation.isWrite && host.slowUntil !== 0 && this.isSlowed(operation, host)) return;
    if (connection.unsentByteCount > this.settings.maxQueueBytes) {
      return this.fail(
        operation,
        new errors.QueueFullError(
          `More than maxQueueBytes (${this.settings.maxQueueBytes}) wait to be sent to ${connection.address}`,
        ),
      );
    }
    this.stopWaiting(operation);
    this.send(operation, host, connection);
  }

  send(operation, host, connection) {
    if (operation.isWrite && !this.mayRepeat(operation, connection)) {
      return this.fail(
        operation,
        new errors.UnknownOutcomeError(
          `${operation.name} was sent, no answer came, and ${connection.address} would take a repetition for another write`,
        ),
      );
    }
    operation.host = host;
    operation.connection = connection;
    const wantsToken = connection.hasToken && this.settings.readYourWrites && (operation.isWrite || host.role !== 'single');
    try {
      operation.id = connection.send(
        operation,
        operation.type,
        wantsToken ? Flag.TOKEN : 0,
        (encoder) => this.write(operation, encoder),
      );
    } catch (error) {
      operation.connection = null;
      return this.fail(operation, error);
    }
    operation.wasSent = operation.hasWaited = true;
    if (operation.isWrite && !(operation.takesID && connection.hasOperationID)) operation.wasSentBare = true;
  }

  /** Whether a node recognises this write, where an earlier attempt had no answer. Notes when the first one left. */
  mayRepeat(operation, connection) {
    if (operation.lossCount === 0) {
      operation.sentAt = performance.now();
      return true;
    }
    return connection.hasOperationID && performance.now() - operation.sentAt < connection.repetitionMS;
  }

  /** The payload: what the request says, and what depends on the moment and the node. */
  write(operation, encoder) {
    const { session } = this;
    const hasID = operation.takesID && operation.connection.hasOperationID;
    const hasTime = operation.deadline !== 0 && operation.stream === null;
    // A node that told the position has it, as long as it leads; one that follows another may have had to give it up.
    const hasIt = session.host === operation.host && operation.host.role !== 'follower';
    const follows = this.settings.readYourWrites && !operation.isWrite && session.lsn !== 0 && !hasIt;
    const isBounded = operation.maxStalenessMS > 0 && operation.host.role === 'follower';
    encoder.writeMapHeader(operation.entryCount + (hasID ? 1 : 0) + (hasTime ? 1 : 0) + (follows ? 1 : 0) + (isBounded ? 1 : 0));
    const { bodyStart, bodyEnd } = operation;
    encoder.reserve(bodyEnd - bodyStart);
    copyBytes(operation.body, bodyStart, bodyEnd, encoder.buffer, encoder.position);
    encoder.position += bodyEnd - bodyStart;
    if (hasTime) {
      encoder.writeString('timeout_ms');
      encoder.writeNumber(
        operation.hasWaited ? Math.max(1, Math.ceil(operation.deadline - performance.now())) : operation.timeoutMS,
      );
    }
    if (hasID) {
      encoder.writeString('op_id');
      encoder.writeBinary(this.operationID(operation.counter));
    }
    if (follows) {
      encoder.writeString('after');
      encoder.writeArrayHeader(2);
      encoder.writeNumber(session.epoch);
      encoder.writeNumber(session.lsn);
    }
    if (isBounded) {
      encoder.writeString('max_staleness_ms');
      encoder.writeNumber(operation.maxStalenessMS);
    }
  }

  operationID(counter) {
    const id = Buffer.allocUnsafe(24);
    this.clientID.copy(id);
    id.writeUInt32BE(Math.floor(counter / 0x1_0000_0000), 16);
    id.writeUInt32BE(counter >>> 0, 20);
    return id;
  }

  /** Whether a write has to wait because the node asked for it; it is routed again then. */
  isSlowed(operation, host) {
    if (performance.now() > host.slowUntil) {
      host.slowUntil = 0;
      return false;
    }
    if (operation.pause !== null) return false;
    this.later(operation, Math.random() * SLOW_BY_MS);
    return true;
  }

  /** Routes it again after a pause. */
  later(operation, pauseMS) {
    // What changes meanwhile does not send it: it would be sent again after the pause.
    this.stopWaiting(operation);
    operation.connection = null;
    operation.hasWaited = true;
    operation.pause = setTimeout(() => {
      this.route(operation);
      operation.pause = null;
    }, pauseMS);
  }

  // Waiting for a node

  wait(operation) {
    if (operation.isWaiting) return;
    operation.isWaiting = operation.hasWaited = true;
    operation.connection = null;
    operation.chooseBy = performance.now() + this.settings.serverSelectionTimeoutMS;
    this.deadlines.watch(operation.chooseBy);
    this.waiting.add(operation);
    this.topology.want(true);
    this.giveUpHope();
  }

  stopWaiting(operation) {
    if (!operation.isWaiting) return;
    operation.isWaiting = false;
    this.waiting.delete(operation);
    if (this.waiting.size === 0) this.topology.want(false);
  }

  /** The nodes, or what is known of them, changed. */
  changed() {
    for (const listener of this.listeners) listener();
    if (this.waiting.size === 0) return;
    for (const operation of [...this.waiting]) if (operation.isWaiting) this.route(operation);
    this.giveUpHope();
  }

  /** Those who wait for nodes that will never take them wait for nothing. */
  giveUpHope() {
    if (this.waiting.size === 0) return;
    const error = this.topology.hopeless;
    if (error === null) return;
    for (const operation of [...this.waiting]) this.fail(operation, error);
  }

  // What comes back

  answered(operation, connection, type, value, flags, epoch, lsn) {
    if (lsn !== 0) this.advance(epoch, lsn, operation.host);
    if ((flags & Flag.SLOW_DOWN) !== 0) operation.host.slowUntil = performance.now() + SLOW_FOR_MS;
    switch (type) {
      case Type.SUCCESS:
      case Type.PONG:
        if (operation.stream !== null) {
          operation.stream.whole(value);
          return this.settle(operation, undefined);
        }
        return this.conclude(operation, connection, value);
      case Type.NOT_FOUND:
        return this.settle(operation, operation.absent);
      case Type.ERROR:
      case Type.DUPLICATE:
        return this.refused(
          operation,
          connection,
          errors.errorFromAnswer(type === Type.DUPLICATE ? { code: 'DUPLICATE', ...value } : value),
        );
      default:
        return this.streamed(operation, connection, type, value);
    }
  }

  /** A frame of a stream. A request that did not ask for one collects it. */
  streamed(operation, connection, type, value) {
    const isStream = type === Type.STREAM_START || type === Type.STREAM_CHUNK || type === Type.STREAM_END;
    if (
      !isStream || value === null || typeof value !== 'object' || (type === Type.STREAM_CHUNK && !Array.isArray(value.documents))
    ) {
      connection.cancel(operation.id);
      return this.fail(
        operation,
        new errors.ProtocolError(`${connection.address} answered ${operation.name} by a frame of type 0x${type.toString(16)}`),
      );
    }
    if (operation.stream === null) operation.stream = new Collector(this.settings.maxResultBytes);
    if (type === Type.STREAM_START) {
      operation.hasBegun = true;
      operation.stream.start(connection, value.stream);
    } else if (type === Type.STREAM_CHUNK) {
      const refusal = operation.stream.chunk(value.documents, connection.frameByteCount);
      if (refusal !== undefined) this.giveUp(operation, refusal);
    } else {
      const result = operation.stream.end();
      if (result === undefined) this.settle(operation, undefined);
      else this.conclude(operation, connection, result);
    }
  }

  /** Settles an operation with what it makes of the node's answer. */
  conclude(operation, connection, value) {
    let result = value;
    try {
      if (operation.result !== undefined) result = operation.result(value);
    } catch (cause) {
      return this.fail(
        operation,
        new errors.ProtocolError(`${connection.address} gave an answer to ${operation.name} that makes no sense`, { cause }),
      );
    }
    this.settle(operation, result);
  }

  /** A later position is what this client's reads must see from now on. */
  advance(epoch, lsn, host) {
    const { session } = this;
    if (epoch > session.epoch || (epoch === session.epoch && lsn > session.lsn)) this.session = { epoch, lsn, host };
  }

  refused(operation, connection, error) {
    // Nothing was done this time; only an earlier attempt without an answer leaves a doubt.
    operation.wasSent = operation.lossCount > 0;
    if (error.code === 'NOT_LEADER') {
      operation.host.deposed(typeof error.details.leader === 'string' ? error.details.leader : null);
      this.topology.ask();
    } else if (error.code === 'UNAUTHENTICATED') {
      // The node began to ask for log-ins, or the account was changed: a new connection logs in again.
      operation.host.retire(connection, error);
    } else if (error.code === 'TOKEN_LOST') {
      // Told once; what is left of the history is what reads are held to from now on.
      this.session = { epoch: 0, lsn: 0, host: null };
    }
    if (!this.startsOver(operation)) return this.fail(operation, error);
    this.decide(operation, afterRefusal(operation, error), error);
  }

  /** Whether an operation can begin again: not behind what a cursor was given of its result; what was only gathered is dropped. */
  startsOver(operation) {
    if (!operation.hasBegun) return true;
    if (!(operation.stream instanceof Collector)) return false;
    operation.stream = null;
    operation.hasBegun = false;
    return true;
  }

  lost(operation, error) {
    if (!this.startsOver(operation)) return this.fail(operation, error);
    this.decide(operation, afterLoss(operation, error, this.settings), error);
  }

  decide(operation, decision, error) {
    switch (decision.kind) {
      case 'fail':
        return this.fail(operation, decision.error ?? error);
      case 'later':
        return this.later(operation, decision.pauseMS);
      default:
        return this.route(operation);
    }
  }

  // The end

  expired(operation) {
    if (operation.isSettled) return;
    const now = performance.now();
    const isOver = operation.deadline !== 0 && now >= operation.deadline;
    if (!isOver || (operation.isWaiting && !operation.wasSent)) return this.fail(operation, this.selectionError(operation, isOver));
    const what = `${operation.name} took longer than its time`;
    if (operation.isWrite && operation.wasSent) {
      return this.giveUp(
        operation,
        new errors.UnknownOutcomeError(`${what}; the write may or may not have happened`, { timeout: true }),
      );
    }
    return this.giveUp(operation, new errors.TimeoutError(what));
  }

  selectionError(operation, isOver) {
    const hosts = this.topology.describe();
    const wanted = operation.isWrite || operation.needsPrimary ? 'primary' : operation.readPreference;
    const list = hosts.map(({ address, role, error }) => `${address} (${role}${error ? `: ${error.message}` : ''})`).join(', ');
    const within = isOver ? 'the time of the operation' : `${this.settings.serverSelectionTimeoutMS} ms`;
    const message = `No node for ${operation.name} (${wanted}) within ${within}: ${list}`;
    const cause = hosts.find((host) => host.error !== null)?.error ?? undefined;
    if (operation.isWrite && operation.wasSent) {
      return new errors.UnknownOutcomeError(`${message}; it was sent before and may have happened`, { cause, timeout: true });
    }
    return new errors.ServerSelectionError(message, { hosts, cause });
  }

  /** Ends an operation whose answer may still come; that one will be swallowed. */
  giveUp(operation, error) {
    if (operation.isSettled) return;
    operation.connection?.cancel(operation.id);
    this.fail(operation, error);
  }

  settle(operation, value) {
    this.retire(operation);
    operation.trace?.end();
    operation.resolve(value);
  }

  fail(operation, error) {
    if (operation.isSettled) return;
    this.retire(operation);
    operation.trace?.end(error);
    operation.reject(error);
  }

  retire(operation) {
    operation.isSettled = true;
    this.stopWaiting(operation);
    this.deadlines.remove(operation);
    if (operation.pause !== null) clearTimeout(operation.pause);
    if (operation.onAbort !== null) operation.signal.removeEventListener('abort', operation.onAbort);
    if (this.isClosed && this.deadlines.count === 0) this.onDrained?.();
  }

  /** Takes no more operations, lets those under way finish for `graceMS`, and closes every connection. */
  async close(graceMS) {
    this.isClosed = true;
    for (const operation of [...this.waiting]) this.fail(operation, new errors.ClosedError('The client was closed'));
    if (this.deadlines.count > 0 && graceMS > 0) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, graceMS);
        this.onDrained = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.deadlines.forEach((operation) => this.giveUp(operation, closedWhile(operation)));
    this.topology.stop();
  }
}

/** Gathers the documents of a result that came as a stream though nobody asked for one. */
class Collector {
  constructor(byteCountMax) {
    this.byteCountMax = byteCountMax;
    this.byteCount = 0;
    this.documents = [];
  }

  start(connection, stream) {
    this.connection = connection;
    this.stream = stream;
  }

  chunk(documents, byteCount) {
    this.byteCount += byteCount;
    if (this.byteCount > this.byteCountMax) {
      return new errors.TooLargeError(
        `The result has more than ${this.byteCountMax} bytes (maxResultBytes): take it piece by piece, with find`,
        { code: 'RESULT_TOO_LARGE', details: { limit: this.byteCountMax } },
      );
    }
    for (const document of documents) this.documents.push(document);
    this.connection?.credit(this.stream, 1);
    return undefined;
  }

  end() {
    return this.documents;
  }

  whole() {}
}

function cancelled(operation, reason) {
  const isUnknown = operation.isWrite && operation.wasSent;
  return new errors.CancelledError(
    `${operation.name} was cancelled${isUnknown ? '; the write may or may not have happened' : ''}`,
    { cause: reason, outcome: isUnknown ? 'unknown' : 'none' },
  );
}

function closedWhile(operation) {
  if (operation.isWrite && operation.wasSent) {
    return new errors.UnknownOutcomeError(`The client was closed while ${operation.name} was under way`);
  }
  return new errors.ClosedError('The client was closed');
}

module.exports = { Dispatcher };
