'use strict';

/**
 * A node played by a script: `answer(request, connection)` says what comes back, so tests can be about one exchange.
 *
 * A request is `{type, id, flags, value}`. `reply(request, type, value, {flags, position})` writes an answer.
 */

const net = require('node:net');
const { encode, decode } = require('../..');
const { FrameReader } = require('../../src/wire/frames');
const { Type, Flag } = require('../../src/wire/protocol');

class ScriptedNode {
  constructor(answer) {
    this.answer = answer;
    this.greeting = {};
    this.requests = [];
    this.sockets = new Set();
    this.accepted = 0;
    this.reads = 0;
  }

  async start(port = 0) {
    this.server = net.createServer((socket) => this.accept(socket));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
    return this;
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  accept(socket) {
    this.accepted++;
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    const reader = new FrameReader((type, flags, buffer, start, end) => {
      const hasID = (flags & Flag.REQUEST_ID) !== 0;
      this.hear(socket, {
        type,
        flags,
        id: hasID ? buffer.readUInt32BE(start) : 0,
        value: decode(buffer.subarray(start + (hasID ? 4 : 0), end)),
        socket,
      });
    });
    socket.on('data', (piece) => {
      this.reads++;
      reader.push(piece);
    });
  }

  hear(socket, request) {
    if (request.type === Type.CONNECT) {
      return this.reply(request, Type.SUCCESS, {
        status: 'connected',
        node_id: this.address,
        role_in_cluster: 'single',
        leader: null,
        epoch: 1,
        lsn: 1,
        dialect: 'plain',
        features: request.value.features,
        max_frame: 1 << 20,
        ...this.greeting,
      });
    }
    if (request.type !== Type.STATUS || this.countsStatus) this.requests.push(request);
    return this.answer(request, this);
  }

  reply(request, type, value, { flags = 0, position } = {}) {
    const payload = encode(value);
    const prefix = Buffer.alloc((request.id ? 4 : 0) + (position ? 16 : 0));
    if (request.id) prefix.writeUInt32BE(request.id);
    if (position) {
      prefix.writeBigUInt64BE(BigInt(position[0]), prefix.length - 16);
      prefix.writeBigUInt64BE(BigInt(position[1]), prefix.length - 8);
    }
    const header = Buffer.from('4e45584101000000', 'hex');
    header[5] = type;
    header.writeUInt16BE(flags | (request.id ? Flag.REQUEST_ID : 0) | (position ? Flag.TOKEN : 0), 6);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(prefix.length + payload.length);
    if (!request.socket.destroyed) request.socket.write(Buffer.concat([header, length, prefix, payload]));
  }

  success(request, value, more) {
    this.reply(request, Type.SUCCESS, value, more);
  }

  error(request, code, more = {}) {
    this.reply(request, Type.ERROR, { code, error: `${code} by script`, ...more });
  }

  /** Cuts all connections. */
  cut() {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }
}

module.exports = { ScriptedNode };
