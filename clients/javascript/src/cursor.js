'use strict';

/**
 * The documents of a query, one by one, in bounded memory: the node is two chunks ahead at most and gets credit for another when
 * one has been taken. Nothing is sent before the first document is asked for. `close` (also by `break`) ends the query on the node.
 *
 * Time runs only while somebody waits for a document: each step has the whole `timeoutMS`.
 */

const { CancelledError, ValidationError } = require('./errors');

/** A node that keeps to its credit is two chunks ahead; beyond this nothing is read from it. */
const CHUNKS_MAX = 8;

class Cursor {
  #begin;
  #timeoutMS;
  #overrides = {};
  #operation = null;
  #chunks = [];
  #index = 0;
  #waiters = [];
  #state = 'new';
  #error = null;
  #connection = null;
  #stream = 0;

  /**
   * @param {(overrides: object, stream: object, resolve: Function, reject: Function) => object} begin
   * @param {{timeoutMS: number}} options
   */
  constructor(begin, { timeoutMS }) {
    this.#begin = begin;
    this.#timeoutMS = timeoutMS;
  }

  // What is asked for, before the first document

  sort(sort) {
    return this.#set('sort', sort);
  }

  limit(limit) {
    return this.#set('limit', limit);
  }

  skip(skip) {
    return this.#set('skip', skip);
  }

  project(projection) {
    return this.#set('projection', projection);
  }

  batchSize(batchSize) {
    return this.#set('batchSize', batchSize);
  }

  #set(name, value) {
    if (this.#state !== 'new') throw new ValidationError(`The cursor has begun; ${name} comes too late`);
    this.#overrides[name] = value;
    return this;
  }

  // What comes

  /** The next document, or null when there is none. */
  next() {
    const document = this.#taken();
    if (document !== undefined) return Promise.resolve(document);
    if (this.#state === 'ended' || this.#state === 'closed') return Promise.resolve(null);
    if (this.#state === 'failed') return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#state === 'new') this.#start();
      else this.#watch();
    });
  }

  /** All documents that are left; a `limit` fails rather than cuts where there are more. */
  async toArray({ limit = Infinity } = {}) {
    const documents = [];
    for await (const document of this) {
      if (documents.length >= limit) throw new ValidationError(`The result has more than ${limit} documents`);
      documents.push(document);
    }
    return documents;
  }

  /** Ends it; what was not taken is dropped. Safe to call at any time. */
  async close() {
    if (this.#state === 'new' || this.#state === 'open') {
      this.#state = 'closed';
      if (this.#operation !== null) this.#operation.dispatcher.giveUp(this.#operation, new CancelledError('The cursor was closed'));
    }
    this.#chunks = [];
    this.#connection?.setFull(this, false);
    this.#connection = null;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(null);
  }

  get isClosed() {
    return this.#state === 'closed' || this.#state === 'failed' || (this.#state === 'ended' && this.#chunks.length === 0);
  }

  [Symbol.asyncIterator]() {
    const step = (document) => (document === null ? { value: undefined, done: true } : { value: document, done: false });
    return {
      next: () => this.next().then(step),
      return: async (value) => {
        await this.close();
        return { value, done: true };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #taken() {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return undefined;
    const document = chunk[this.#index++];
    if (this.#index === chunk.length) {
      this.#chunks.shift();
      this.#index = 0;
      if (this.#state === 'open') this.#connection?.credit(this.#stream, 1);
      if (this.#chunks.length === CHUNKS_MAX - 1) this.#connection?.setFull(this, false);
    }
    return document;
  }

  #start() {
    this.#state = 'open';
    const stream = {
      start: (connection, id) => {
        this.#connection = connection;
        this.#stream = id;
        this.#watch();
      },
      chunk: (documents) => this.#arrived(documents),
      whole: (documents) => {
        this.#state = 'ended';
        this.#arrived(Array.isArray(documents) ? documents : []);
      },
      end: () => {
        if (this.#state === 'open') this.#state = 'ended';
        // Nothing more will come of this one, however slowly the rest is taken.
        this.#connection?.setFull(this, false);
        this.#serve();
      },
    };
    const failed = (error) => {
      if (this.#state !== 'open') return;
      this.#state = 'failed';
      // Part of a result was given already: the rest of this snapshot is nowhere to be had.
      this.#error = error;
      this.#connection?.setFull(this, false);
      for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    };
    try {
      this.#operation = this.#begin(this.#overrides, stream, () => {}, failed);
    } catch (error) {
      failed(error);
    }
  }

  #arrived(documents) {
    if (documents.length > 0) {
      this.#chunks.push(documents);
      if (this.#chunks.length === CHUNKS_MAX) this.#connection?.setFull(this, true);
    } else if (this.#state === 'open') {
      this.#connection?.credit(this.#stream, 1);
    }
    this.#serve();
  }

  #serve() {
    while (this.#waiters.length > 0) {
      const document = this.#taken();
      if (document !== undefined) this.#waiters.shift().resolve(document);
      else if (this.#state === 'ended') this.#waiters.shift().resolve(null);
      else break;
    }
    this.#watch();
  }

  /** Time runs while somebody waits. */
  #watch() {
    const operation = this.#operation;
    if (operation === null || operation.isSettled) return;
    operation.deadline = this.#waiters.length > 0 && this.#timeoutMS > 0 ? performance.now() + this.#timeoutMS : 0;
    if (operation.deadline !== 0) operation.dispatcher.deadlines.watch(operation.deadline);
  }
}

if (Symbol.asyncDispose) {
  Cursor.prototype[Symbol.asyncDispose] = function dispose() {
    return this.close();
  };
}

module.exports = { Cursor };
