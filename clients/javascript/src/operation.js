'use strict';

/**
 * One operation from call to result: what it asks for, how long it may take, what was already tried.
 *
 * It settles exactly once. As a receiver of a connection it passes on what it hears to the dispatcher, unless it has settled: then
 * the answer is nobody's. Neighbours in the list of unsettled operations hang on it directly.
 */

const { Type } = require('./wire/protocol');

/** Writes that a node recognises by their `op_id`. */
const REPEATABLE = new Set([
  Type.CREATE,
  Type.UPDATE,
  Type.DELETE,
  Type.BATCH_WRITE,
  Type.CREATE_DATABASE,
  Type.DROP_DATABASE,
  Type.CREATE_COLLECTION,
  Type.DROP_COLLECTION,
]);

class Operation {
  /** @param {number} type @param {string} name for messages @param {string | undefined} collection @param {boolean} isWrite */
  constructor(type, name, collection, isWrite) {
    this.type = type;
    this.name = name;
    this.collection = collection;
    this.isWrite = isWrite;
    /** A node that knows `op_id` does it once, however often it is sent. */
    this.takesID = isWrite && REPEATABLE.has(type);
    /** The request's entries, `bodyStart..<bodyEnd` of `body`, and how many they are. */
    this.body = null;
    this.bodyStart = 0;
    this.bodyEnd = 0;
    this.entryCount = 0;
    /** What becomes of SUCCESS (undefined: the answer itself) and of NOT_FOUND. */
    this.result = undefined;
    this.absent = null;
    /** Where the chunks of a stream go; null: they are gathered. */
    this.stream = null;
    this.readPreference = 'primary';
    this.maxStalenessMS = 0;
    this.signal = undefined;

    this.dispatcher = null;
    this.resolve = null;
    this.reject = null;
    this.onAbort = null;
    this.trace = null;

    this.isSettled = false;
    this.timeoutMS = 0;
    this.deadline = 0;
    this.chooseBy = 0;
    this.needsPrimary = false;
    /** Where it was sent last, and as what; null while it waits. */
    this.connection = null;
    this.host = null;
    this.id = 0;
    this.counter = 0;
    /** Sent at least once: without an `op_id`, what became of a write is unknown. */
    this.wasSent = false;
    this.sentAt = 0;
    this.wasSentBare = false;
    /** Some of its time is gone. */
    this.hasWaited = false;
    this.lossCount = 0;
    this.refusalCount = 0;
    this.pause = null;
    this.hasBegun = false;

    this.previous = null;
    this.next = null;
    this.nextWaiting = null;
    this.isWaiting = false;
  }

  answer(connection, type, value, flags, epoch, lsn) {
    if (!this.isSettled) this.dispatcher.answered(this, connection, type, value, flags, epoch, lsn);
  }

  lost(error) {
    if (!this.isSettled) this.dispatcher.lost(this, error);
  }
}

module.exports = { Operation };
