'use strict';

/**
 * Writes many items in batches: one leaves when it is full by number or bytes, or when its first item has waited long enough.
 *
 * `add` gives a promise that is done when there is room again, so a loop that awaits it holds a bounded number of items. Items are
 * encoded at once; changing a document later changes nothing. Each item has a number, from `startAt` on; all items below
 * `checkpoint` are acknowledged, so an import that stops can go on there. What failed is told by `onError` and by the
 * `BulkWriteError` of `flush` and `close`, never silently.
 */

const { Encoder } = require('./msgpack/encoder');
const { checkMap, checkKey } = require('./names');
const { BulkWriteError, OverloadedError, ClosedError, ValidationError } = require('./errors');

const defaults = { batchSize: 1000, batchBytes: 1 << 20, flushMS: 20, concurrency: 2, ordered: false, startAt: 0 };
/** Errors that are kept for the end; all of them are counted and told to `onError`. */
const ERRORS_KEPT = 1000;
const OVERLOAD_ATTEMPTS = 10;

class BulkWriter {
  #send;
  #options;
  #encoder = new Encoder(4096);
  #batch = [];
  #batchBytes = 0;
  #timer = null;
  #queue = [];
  #running = 0;
  #room = [];
  #idle = [];
  #next;
  #settled = new Set();
  #checkpoint;
  #acknowledged = 0;
  #failed = 0;
  #errors = [];
  #closed = false;
  #hasStopped = false;

  /**
   * @param {(items: Buffer[], options: {ordered: boolean}) => Promise<object>} send writes one batch
   * @param {object} options see `defaults`, and `onError(error, item)`
   */
  constructor(send, options) {
    this.#send = send;
    this.#options = { ...defaults, ...options };
    const { batchSize, batchBytes, concurrency, startAt } = this.#options;
    for (
      const [name, value, least] of [['batchSize', batchSize, 1], ['batchBytes', batchBytes, 1], ['concurrency', concurrency, 1], [
        'startAt',
        startAt,
        0,
      ]]
    ) {
      if (!Number.isSafeInteger(value) || value < least) throw new ValidationError(`${name} is a whole number from ${least}`);
    }
    if (this.#options.ordered) this.#options.concurrency = 1;
    this.#next = this.#checkpoint = startAt;
  }

  /** All items below this number are acknowledged. */
  get checkpoint() {
    return this.#checkpoint;
  }

  get result() {
    return { acknowledged: this.#acknowledged, failed: this.#failed, checkpoint: this.#checkpoint, errors: [...this.#errors] };
  }

  /** A new document; one with a key that exists fails. */
  insert(document) {
    return this.add({ op: 'create', data: checkMap(document, 'A document') });
  }

  /** A document, whether its key exists or not. */
  put(document) {
    return this.add({ op: 'put', data: checkMap(document, 'A document') });
  }

  update(key, updates, { upsert } = {}) {
    return this.add({ op: 'update', key: checkKey(key), updates: checkMap(updates, 'An update'), upsert });
  }

  delete(key) {
    return this.add({ op: 'delete', key: checkKey(key) });
  }

  /** Any operation of BATCH_WRITE. @returns {Promise<void>} done when there is room for another */
  add(operation) {
    if (this.#closed) throw new ClosedError('The bulk writer is closed');
    this.#encoder.reset();
    this.#encoder.writeValue(operation, 2);
    const bytes = this.#encoder.copy();
    if (this.#batchBytes + bytes.length > this.#options.batchBytes) this.#dispatch();
    this.#batch.push({ number: this.#next++, bytes });
    this.#batchBytes += bytes.length;
    if (this.#batch.length >= this.#options.batchSize) this.#dispatch();
    else if (this.#timer === null) this.#timer = setTimeout(() => this.#dispatch(), this.#options.flushMS);
    if (this.#queue.length < this.#options.concurrency) return Promise.resolve();
    return new Promise((resolve) => {
      this.#room.push(resolve);
    });
  }

  /** Sends what is there and waits for all answers. Rejects with `BulkWriteError` where items failed since the last time. */
  async flush() {
    this.#dispatch();
    while (this.#running > 0 || this.#queue.length > 0) {
      await new Promise((resolve) => {
        this.#idle.push(resolve);
      });
    }
    const { result } = this;
    if (this.#errors.length === 0) return result;
    const errors = this.#errors.splice(0);
    throw new BulkWriteError(
      `${errors.length === ERRORS_KEPT ? `${ERRORS_KEPT} items or more` : `${errors.length} items`} failed, the first (number ${
        errors[0].index
      }): ${errors[0].message}`,
      { errors, result, cause: errors[0].cause },
    );
  }

  /** Flushes; nothing can be added any more. */
  async close() {
    this.#closed = true;
    return this.flush();
  }

  #dispatch() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#batch.length === 0) return;
    this.#queue.push(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
    this.#pump();
  }

  #pump() {
    while (this.#running < this.#options.concurrency && this.#queue.length > 0) {
      const batch = this.#queue.shift();
      this.#running++;
      this.#write(batch).then(() => {
        this.#running--;
        this.#pump();
        if (this.#queue.length < this.#options.concurrency) { for (const resolve of this.#room.splice(0)) resolve(); }
        if (this.#running === 0 && this.#queue.length === 0) { for (const resolve of this.#idle.splice(0)) resolve(); }
      });
    }
  }

  /** Writes one batch and takes note of every item; never rejects. */
  async #write(batch) {
    for (let attempt = 1;; attempt++) {
      if (this.#hasStopped) return this.#note(batch, new Map());
      try {
        const answer = await this.#send(batch.map(({ bytes }) => bytes), { ordered: this.#options.ordered });
        return this.#note(batch, new Map((answer.errors ?? []).map((error) => [error.index, error])));
      } catch (error) {
        if (error instanceof OverloadedError && attempt < OVERLOAD_ATTEMPTS) {
          // Nothing of it was done.
          await new Promise((resolve) => {
            setTimeout(resolve, (0.5 + Math.random()) * Math.min(2_000, 50 * 2 ** attempt));
          });
          continue;
        }
        return this.#note(batch, null, error);
      }
    }
  }

  #note(batch, failures, batchError) {
    batch.forEach(({ number }, index) => {
      const failure = failures === null ? { code: batchError.code, error: batchError.message } : failures.get(index);
      if (failure === undefined && !this.#hasStopped) {
        this.#acknowledged++;
        this.#settle(number);
        return;
      }
      const told = failure ?? { code: 'NOT_TRIED', error: 'An earlier item of an ordered writer failed' };
      if (this.#options.ordered) this.#hasStopped = true;
      this.#failed++;
      const error = {
        index: number,
        code: told.code,
        message: told.error,
        outcome: batchError?.outcome ?? 'none',
        cause: batchError,
      };
      if (this.#errors.length < ERRORS_KEPT) this.#errors.push(error);
      this.#tell(error);
    });
  }

  #tell(error) {
    try {
      this.#options.onError?.(error);
    } catch (thrown) {
      // A listener's own failure belongs to whoever waits for the result.
      if (this.#errors.length < ERRORS_KEPT) {
        this.#errors.push({ index: error.index, code: 'LISTENER', message: String(thrown), outcome: 'none', cause: thrown });
      }
    }
  }

  /** Moves the checkpoint over all leading items that are acknowledged. */
  #settle(number) {
    if (number !== this.#checkpoint) {
      this.#settled.add(number);
      return;
    }
    this.#checkpoint++;
    while (this.#settled.delete(this.#checkpoint)) this.#checkpoint++;
  }
}

if (Symbol.asyncDispose) {
  BulkWriter.prototype[Symbol.asyncDispose] = async function dispose() {
    await this.close();
  };
}

module.exports = { BulkWriter };
