'use strict';

/**
 * One connection to one node, shared by any number of requests.
 *
 * Every request has an id, and its answer is found by that id alone: a request that is given up leaves a tombstone which swallows
 * its answer when it comes, so nothing ever shifts and nobody else's connection is closed. A receiver hears `answer` for each frame
 * of its request and, where the connection ends first, `lost` once. A payload that cannot be read fails its own request; a stream
 * of frames that cannot be followed ends the connection.
 */

const net = require('node:net');
const tls = require('node:tls');
const { Decoder } = require('./msgpack/decoder');
const { FrameReader } = require('./wire/frames');
const { Outbox } = require('./wire/outbox');
const { decompress } = require('./wire/lz4');
const { Type, Flag, ANSWER_FLAGS, MAX_FRAME_BYTES } = require('./wire/protocol');
const { ConnectionError, ProtocolError, TooLargeError, NexaError, errorFromAnswer } = require('./errors');
const { formatHost } = require('./address');
const { connectChannel } = require('./diagnostics');

/** Stands for a request that nobody waits for any more, and swallows what comes for it. */
class Tombstone {
  constructor() {
    this.chunkCount = 0;
  }

  answer() {}

  lost() {}
}

/** More unanswered requests than this and the node is as good as gone. */
const PENDING_MAX = 1 << 17;

/** Chunks of a cancelled stream that are swallowed before the node is taken for one that does not hear; two were on their way. */
const SWALLOWED_MAX = 8;

const isFinal = (type) => type !== Type.STREAM_START && type !== Type.STREAM_CHUNK && type !== Type.CHANGE_EVENT;

class Connection {
  /**
   * @param {{host: string, port: number}} target
   * @param {object} settings what CONNECT says and TLS needs, see `settingsOf`
   * @param {(connection: Connection, error: NexaError) => void} onClose called once, before the receivers are told
   */
  constructor(target, settings, onClose) {
    this.target = target;
    this.address = formatHost(target);
    this.settings = settings;
    this.onClose = onClose;
    this.state = 'new';
    this.info = null;
    this.features = new Set();
    this.maxFrame = MAX_FRAME_BYTES;
    this.answerFlags = ANSWER_FLAGS;
    this.roundTripMS = 0;
    this.lastHeard = 0;
    this.pending = new Map();
    this.nextID = 1;
    this.outbox = new Outbox();
    this.isFlushPlanned = false;
    this.flushNow = () => {
      this.isFlushPlanned = false;
      if (this.state === 'open' || this.state === 'greeting') this.outbox.flush(this.socket);
    };
    this.decoder = new Decoder({ bigints: settings.bigints, textKeys: true });
    this.reader = new FrameReader((type, flags, buffer, start, end) => this.take(type, flags, buffer, start, end));
    this.socket = null;
    this.failure = null;
    this.closing = null;
    this.fullReceivers = new Set();
    this.frameByteCount = 0;
    this.repetitionMS = Infinity;
  }

  get isOpen() {
    return this.state === 'open';
  }

  /** Bytes that were given to this connection and have not left the process. */
  get unsentByteCount() {
    return this.outbox.byteCount + this.socket.writableLength;
  }

  /** Connects and greets, within `timeoutMS`. */
  open(timeoutMS) {
    const trace = connectChannel.begin({ address: this.address });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.close(new ConnectionError(`${this.address} did not answer within ${timeoutMS} ms`));
      }, timeoutMS);
      this.settleOpening = (error) => {
        clearTimeout(timer);
        this.settleOpening = null;
        trace.end(error);
        if (error) reject(error);
        else resolve();
      };
      this.state = 'connecting';
      try {
        this.socket = this.settings.tls
          ? tls.connect({ ...this.settings.tls, ...this.target, ...serverName(this.settings, this.target) })
          : net.connect(this.target);
      } catch (cause) {
        this.state = 'closed';
        this.settleOpening(new ConnectionError(`Cannot connect to ${this.address}: ${cause.message}`, { cause }));
        return;
      }
      this.listen(this.socket);
    });
  }

  listen(socket) {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on(this.settings.tls ? 'secureConnect' : 'connect', () => this.greet());
    socket.on('data', (piece) => this.hear(piece));
    socket.on('error', (cause) => {
      this.failure ??= new ConnectionError(
        `${this.state === 'connecting' ? 'Cannot connect to' : 'Lost the connection to'} ${this.address}: ${
          cause.message || cause.code
        }`,
        { cause },
      );
    });
    socket.on('end', () => {
      this.failure ??= new ConnectionError(`${this.address} closed the connection`);
      socket.destroy();
    });
    socket.on('close', () => this.ended());
  }

  greet() {
    if (this.state !== 'connecting') return;
    this.state = 'greeting';
    this.greetedAt = performance.now();
    const encoder = this.outbox.begin(Type.CONNECT, 0, 0);
    encoder.writeValue(this.settings.greeting);
    this.outbox.end(false, this.maxFrame);
    this.outbox.flush(this.socket);
  }

  // Coming in

  hear(piece) {
    if (this.state === 'closed') return;
    this.lastHeard = performance.now();
    try {
      this.reader.push(piece);
    } catch (error) {
      this.close(error instanceof NexaError ? error : new ProtocolError(`Cannot read what ${this.address} sent`, { cause: error }));
    }
  }

  take(type, flags, buffer, start, end) {
    if (this.state === 'closed') return;
    this.pass(type, flags, buffer, start, end);
    if (this.closing !== null && this.pending.size === 0) this.close(this.closing);
  }

  /** Gives a frame to the one that it belongs to. */
  pass(type, flags, buffer, start, end) {
    if ((flags & ~this.answerFlags) !== 0) {
      throw new ProtocolError(`${this.address} set flags that nobody asked for: 0x${flags.toString(16)}`);
    }
    const prefix = ((flags & Flag.REQUEST_ID) !== 0 ? 4 : 0) + ((flags & Flag.TOKEN) !== 0 ? 16 : 0) +
      ((flags & Flag.COMPRESSED) !== 0 ? 4 : 0);
    if (prefix > end - start) throw new ProtocolError(`${this.address} sent a frame shorter than its own prefix`);
    if ((flags & Flag.REQUEST_ID) === 0) return this.takeUnnumbered(type, flags, buffer, start, end);
    const id = buffer.readUInt32BE(start);
    const receiver = this.pending.get(id);
    if (receiver === undefined) throw new ProtocolError(`${this.address} answered a request that was not sent`);
    if (isFinal(type) && !(type === Type.SUCCESS && receiver.lasts)) this.pending.delete(id);
    if (receiver instanceof Tombstone) return this.swallow(receiver, type);
    this.frameByteCount = end - start;
    let value;
    try {
      value = this.read(flags, buffer, start + prefix, end);
    } catch (error) {
      if (!(error instanceof NexaError)) throw error;
      // Frames of a stream may follow; nobody could put them together any more.
      if (!isFinal(type)) this.cancel(id);
      return receiver.lost(error, this);
    }
    const hasToken = (flags & Flag.TOKEN) !== 0;
    receiver.answer(this, type, value, flags, hasToken ? wide(buffer, start + 4) : 0, hasToken ? wide(buffer, start + 12) : 0);
  }

  swallow(tombstone, type) {
    if (isFinal(type) || ++tombstone.chunkCount <= SWALLOWED_MAX) return;
    this.close(new ConnectionError(`${this.address} goes on with a stream that was cancelled`));
  }

  /**
   * A receiver has no room (or has room again): nothing is read meanwhile, for nobody. Only a node that sends more than it was
   * allowed to brings it that far.
   */
  setFull(receiver, isFull) {
    if (isFull) this.fullReceivers.add(receiver);
    else if (!this.fullReceivers.delete(receiver)) return;
    if (this.fullReceivers.size > 0) this.socket.pause();
    else if (this.state === 'open') this.socket.resume();
  }

  /** The answer to CONNECT, or the last words of a node that gives the connection up. */
  takeUnnumbered(type, flags, buffer, start, end) {
    const prefix = ((flags & Flag.TOKEN) !== 0 ? 16 : 0) + ((flags & Flag.COMPRESSED) !== 0 ? 4 : 0);
    const value = this.read(flags, buffer, start + prefix, end);
    if (this.state === 'greeting' && type === Type.SUCCESS) return this.greeted(value);
    if (type === Type.ERROR) return this.close(errorFromAnswer(value));
    throw new ProtocolError(`${this.address} sent a frame of type 0x${type.toString(16)} that belongs to no request`);
  }

  greeted(info) {
    if (info === null || typeof info !== 'object' || Array.isArray(info) || info instanceof Map || info.dialect !== 'plain') {
      throw new ProtocolError(`${this.address} does not speak the plain dialect`);
    }
    this.info = info;
    this.features = new Set(Array.isArray(info.features) ? info.features : []);
    if (!this.features.has('request_id')) throw new ProtocolError(`${this.address} is too old: it does not number requests`);
    if (Number.isSafeInteger(info.max_frame) && info.max_frame >= 1024) this.maxFrame = this.reader.maxFrame = info.max_frame;
    this.hasToken = this.features.has('token');
    this.hasOperationID = this.features.has('op_id');
    // Well within the time for which the node remembers a write: clocks that jump shorten it.
    this.repetitionMS = info.op_id_window_s > 0 ? info.op_id_window_s * 500 : Infinity;
    this.hasLZ4 = this.features.has('lz4');
    if (this.hasLZ4) this.answerFlags |= Flag.COMPRESSED;
    this.roundTripMS = performance.now() - this.greetedAt;
    this.state = 'open';
    this.settleOpening?.();
  }

  read(flags, buffer, start, end) {
    if ((flags & Flag.COMPRESSED) === 0) return this.decoder.decode(buffer, start, end);
    const rawLength = buffer.readUInt32BE(start - 4);
    if (rawLength > this.maxFrame) {
      throw new ProtocolError(`${this.address} announced ${rawLength} bytes behind a compressed frame`);
    }
    return this.decoder.decode(decompress(buffer, start, end, rawLength));
  }

  // Going out

  /**
   * Sends a request whose payload `write` gives to the encoder; its receiver hears all further. Gives the request's id.
   * Throws `TooLargeError` where the node would not take the frame.
   */
  send(receiver, type, flags, write) {
    const id = this.freeID();
    write(this.outbox.begin(type, flags, id), this);
    const count = this.outbox.end(this.hasLZ4, this.maxFrame);
    if (count > this.maxFrame) {
      throw new TooLargeError(`The request has ${count} bytes; ${this.address} takes ${this.maxFrame}`, {
        details: { limit: this.maxFrame },
      });
    }
    this.pending.set(id, receiver);
    this.planFlush();
    return id;
  }

  freeID() {
    if (this.pending.size >= PENDING_MAX) {
      const error = new ConnectionError(`${this.address} leaves ${PENDING_MAX} requests without an answer`);
      this.close(error);
      throw error;
    }
    let id = this.nextID;
    while (this.pending.has(id)) id = id === 0xffff_ffff ? 1 : id + 1;
    this.nextID = id === 0xffff_ffff ? 1 : id + 1;
    return id;
  }

  /** Nobody waits for this request any more: the node is told, and its answer will be swallowed. */
  cancel(id) {
    if (this.state !== 'open' || !this.pending.has(id)) return;
    this.pending.set(id, new Tombstone());
    // A node that leaves so much without an answer hears no CANCEL either; the next request ends the connection.
    if (this.pending.size >= PENDING_MAX) return;
    this.send(new Tombstone(), Type.CANCEL, 0, (encoder) => encoder.writeValue({ request_id: id }));
  }

  /** Allows a stream to send `count` more chunks. */
  credit(stream, count) {
    if (this.state !== 'open') return;
    const encoder = this.outbox.begin(Type.CURSOR_CREDIT, 0, 0);
    encoder.writeValue({ stream, credit: count });
    this.outbox.end(false, this.maxFrame);
    this.planFlush();
  }

  planFlush() {
    if (this.outbox.isWorthSending) this.outbox.flush(this.socket);
    if (this.isFlushPlanned) return;
    this.isFlushPlanned = true;
    process.nextTick(this.flushNow);
  }

  // The end

  /** Closes when all that was asked has been answered. */
  closeWhenIdle(error) {
    this.closing = error;
    if (this.pending.size === 0) this.close(error);
  }

  /** Closes at once. Receivers hear of it when the socket is gone, in the same turn at the earliest. */
  close(error) {
    if (this.state === 'closed') return;
    this.failure = error;
    this.socket?.destroy();
    this.ended();
  }

  ended() {
    if (this.state === 'closed') return;
    this.state = 'closed';
    const error = this.failure ?? new ConnectionError(`The connection to ${this.address} was closed`);
    const receivers = [...this.pending.values()];
    this.pending.clear();
    this.onClose(this, error);
    this.settleOpening?.(error);
    for (const receiver of receivers) receiver.lost(error, this);
  }
}

function wide(buffer, at) {
  return buffer.readUInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}

/** SNI wants a name, never an address. */
function serverName(settings, target) {
  const servername = settings.tls.servername ?? (net.isIP(target.host) === 0 ? target.host : undefined);
  return servername === undefined ? {} : { servername };
}

module.exports = { Connection };
