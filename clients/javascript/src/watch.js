'use strict';

/**
 * Changes as they are committed, in their order, without end.
 *
 * A change stream has a connection of its own: when its reader is slow, that socket is left unread, and nobody else waits. When the
 * connection or the node is lost, or the node gives the subscription up, it goes on behind the last event that came, on whatever
 * node fits: no event is missed, and none comes twice. It fails only where the place is in no log any more, where it is not
 * allowed, or after `resumeTimeoutMS` without a node.
 */

const { Connection } = require('./connection');
const { Type } = require('./wire/protocol');
const { backOff } = require('./topology/selection');
const { checkOptions } = require('./request');
const errors = require('./errors');

/** Events that are kept for a reader: above the first number the socket rests, below the second it is read again. */
const BUFFER_HIGH = 1000;
const BUFFER_LOW = 200;
const HEARTBEAT_MS = 5_000;
const SILENCE_MS = 4 * HEARTBEAT_MS;

const known = new Set([
  'operations',
  'includeVector',
  'resumeAfter',
  'startAfter',
  'readPreference',
  'database',
  'signal',
  'resumeTimeoutMS',
]);
/** Answers that no other node and no later time would change. */
const final = new Set([
  'HISTORY_LOST',
  'TOKEN_LOST',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_REQUEST',
  'UNSUPPORTED',
  'UNKNOWN_TYPE',
  'CONFIGURATION',
  'VALIDATION',
]);

class ChangeStream {
  #client;
  #settings;
  #dispatcher;
  #collection;
  #options;
  #events = [];
  #waiters = [];
  #state = 'starting';
  #error = null;
  #connection = null;
  #isPaused = false;
  #token;
  #sentToken;
  #watchdog = null;
  #retryTimer = null;
  #answerTimer = null;
  #attempt = 0;
  #lostAt = 0;
  #ready;
  #settleReady;
  #onAbort;
  #onEnd;

  /**
   * @param {object} client @param {object} settings of its connections @param {() => object} dispatcher
   * @param {string | undefined} collection @param {object} options
   * @param {(stream: ChangeStream) => void} onEnd called once, when it holds nothing any more
   */
  constructor(client, settings, dispatcher, collection, options, onEnd) {
    checkOptions(options, known, []);
    this.#client = client;
    this.#settings = settings;
    this.#dispatcher = dispatcher;
    this.#collection = collection;
    this.#options = { resumeTimeoutMS: 60_000, readPreference: 'primary', ...options };
    this.#token = this.#sentToken = options.resumeAfter;
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    // Whoever does not ask for it hears of a failure from `next`.
    this.#ready.catch(() => {});
    this.#onEnd = onEnd;
    this.#onAbort = () =>
      this.#fail(new errors.CancelledError('The change stream was cancelled', { cause: options.signal.reason }));
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#lostAt = performance.now();
    if (options.signal?.aborted) this.#onAbort();
    else this.#connect();
  }

  /** Done when the node has begun to watch: every later change is told. @returns {Promise<this>} */
  ready() {
    return this.#ready.then(() => this);
  }

  /** The place behind the last event that was taken; give it as `resumeAfter` to go on there, in another process as well. */
  get resumeToken() {
    return this.#token;
  }

  get isClosed() {
    return this.#state === 'closed' || this.#state === 'failed';
  }

  /** Changes that came and were not taken. */
  get bufferedCount() {
    return this.#events.length;
  }

  /** The next change; null once the stream was closed. */
  next() {
    if (this.#events.length > 0) return Promise.resolve(this.#take());
    if (this.#state === 'closed') return Promise.resolve(null);
    if (this.#state === 'failed') return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  /** The next change if one is here already, else null. */
  tryNext() {
    return this.#events.length > 0 ? this.#take() : null;
  }

  async close() {
    if (this.isClosed) return;
    this.#state = 'closed';
    this.#end(new errors.ClosedError('The change stream was closed'));
    this.#events = [];
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(null);
  }

  [Symbol.asyncIterator]() {
    return {
      next: () => this.next().then((event) => (event === null ? { value: undefined, done: true } : { value: event, done: false })),
      return: async (value) => {
        await this.close();
        return { value, done: true };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #take() {
    const event = this.#events.shift();
    this.#token = event.resumeToken;
    if (this.#events.length === 0) this.#token = this.#sentToken;
    if (this.#isPaused && this.#events.length < BUFFER_LOW) {
      this.#isPaused = false;
      this.#connection?.socket.resume();
    }
    return event;
  }

  // One subscription

  /** Finds a node, connects and subscribes behind the last event that came. Never rejects. */
  async #connect() {
    try {
      const { readPreference, database } = this.#options;
      await this.#client.ping({ readPreference });
      if (this.isClosed) return;
      const host = this.#dispatcher().topology.choose({ isWrite: false, needsPrimary: false, readPreference });
      if (host === null) throw new errors.ConnectionError('The node was lost');
      const connection = new Connection(host.target, this.#settings, (_, error) => this.#lost(connection, error));
      this.#connection = connection;
      await connection.open(this.#settings.connectTimeoutMS);
      if (this.isClosed) return connection.close(new errors.ClosedError('The change stream was closed'));
      const request = {
        collection: this.#collection,
        database,
        operations: this.#options.operations,
        include_vector: this.#options.includeVector,
        resume_after: this.#sentToken,
        heartbeat_ms: HEARTBEAT_MS,
      };
      if (this.#sentToken === undefined) request.after = this.#options.startAfter;
      this.#answerTimer = setTimeout(() => {
        connection.close(new errors.ConnectionError(`${connection.address} does not answer a subscription`));
      }, this.#settings.connectTimeoutMS);
      connection.send(
        {
          lasts: true,
          answer: (_, type, value) => this.#heard(connection, type, value),
          lost: (error) => this.#lost(connection, error),
        },
        Type.SUBSCRIBE_CHANGES,
        0,
        (encoder) => encoder.writeValue(request),
      );
    } catch (error) {
      this.#lost(this.#connection, error);
    }
  }

  #heard(connection, type, value) {
    if (this.isClosed || connection !== this.#connection) return;
    if (type === Type.CHANGE_EVENT) return this.#event(value);
    if (type === Type.SUCCESS) return this.#subscribed(connection, value);
    if (type !== Type.ERROR) {
      return this.#fail(new errors.ProtocolError(`A change stream was answered by a frame of type 0x${type.toString(16)}`));
    }
    const error = errors.errorFromAnswer(value);
    this.#lost(connection, error);
  }

  #subscribed(connection, value) {
    clearTimeout(this.#answerTimer);
    this.#attempt = 0;
    if (this.#sentToken === undefined && value.resume_token instanceof Uint8Array) {
      this.#token = this.#sentToken = value.resume_token;
    }
    this.#watchdog = setInterval(() => {
      const isSilent = performance.now() - connection.lastHeard > SILENCE_MS;
      if (isSilent && !this.#isPaused) {
        connection.close(new errors.ConnectionError(`${connection.address} said nothing for ${SILENCE_MS} ms`));
      }
    }, HEARTBEAT_MS);
    this.#watchdog.unref();
    this.#settleReady.resolve();
  }

  #event({ resume_token: resumeToken, subscription, epoch, lsn, ...event }) {
    if (!(resumeToken instanceof Uint8Array)) return this.#fail(new errors.ProtocolError('A change came without its resume_token'));
    this.#sentToken = resumeToken;
    if (event.operationType === 'heartbeat') {
      if (this.#events.length === 0) this.#token = resumeToken;
      return;
    }
    this.#events.push({ ...event, position: [epoch, lsn], resumeToken });
    if (this.#waiters.length > 0) this.#waiters.shift().resolve(this.#take());
    if (this.#events.length >= BUFFER_HIGH && !this.#isPaused) {
      this.#isPaused = true;
      this.#connection.socket.pause();
    }
  }

  // The end of a subscription, and of the stream

  /** Goes on elsewhere, behind the last event that came; events that wait are kept. */
  #lost(connection, error) {
    if (this.isClosed || connection !== this.#connection) return;
    if (final.has(error.code) || error instanceof errors.ClosedError) return this.#fail(error);
    if (this.#attempt === 0) this.#lostAt = performance.now();
    if (performance.now() - this.#lostAt > this.#options.resumeTimeoutMS) return this.#fail(error);
    this.#release(error);
    this.#retryTimer = setTimeout(() => this.#connect(), backOff(this.#attempt++, 1_000));
  }

  #end(error) {
    this.#settleReady.reject(error);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#release(error);
    this.#onEnd(this);
  }

  #release(error) {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#answerTimer);
    clearInterval(this.#watchdog);
    const connection = this.#connection;
    this.#connection = null;
    this.#isPaused = false;
    connection?.close(error);
  }

  #fail(error) {
    if (this.isClosed) return;
    this.#state = 'failed';
    this.#error = error;
    this.#end(error);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}

if (Symbol.asyncDispose) {
  ChangeStream.prototype[Symbol.asyncDispose] = function dispose() {
    return this.close();
  };
}

module.exports = { ChangeStream };
