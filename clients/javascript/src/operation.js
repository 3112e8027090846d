'use strict';

/**
 * One operation from call to result: what it asks for, how long it may take, what was already tried.
 *
 * It settles exactly once. As a receiver of a connection it passes on what it hears to the dispatcher, unless it has settled: then the
 * answer is nobody's. Neighbours in the list of unsettled operations hang on it directly.
 */

class Operation {
  constructor(dispatcher, request, resolve, reject) {
    this.dispatcher = dispatcher;
    this.type = request.type;
    this.name = request.name;
    this.collection = request.collection;
    this.body = request.body;
    this.entryCount = request.entryCount;
    this.isWrite = request.isWrite;
    this.result = request.result;
    this.absent = request.absent;
    this.stream = request.stream ?? null;
    this.readPreference = request.readPreference;
    this.maxStalenessMS = request.maxStalenessMS;
    this.signal = request.signal;
    this.onAbort = null;
    this.resolve = resolve;
    this.reject = reject;
    this.trace = null;

    this.isSettled = false;
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
    this.wasSentBare = false;
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
