'use strict';

/** The numbers of docs/protocol.md. */

const Type = Object.freeze({
  CONNECT: 0x01,
  CREATE: 0x02,
  READ: 0x03,
  UPDATE: 0x04,
  DELETE: 0x05,
  QUERY: 0x06,
  VECTOR_SEARCH: 0x07,
  BATCH_WRITE: 0x08,
  PING: 0x09,
  DISCONNECT: 0x0a,
  CREATE_USER: 0x0e,
  DELETE_USER: 0x0f,
  LIST_USERS: 0x10,
  CHANGE_PASSWORD: 0x11,
  ALTER_USER: 0x12,
  LIST_COLLECTIONS: 0x20,
  DROP_COLLECTION: 0x21,
  COLLECTION_STATS: 0x22,
  COUNT: 0x27,
  MULTI_READ: 0x2a,
  CANCEL: 0x2b,
  STATUS: 0x2c,
  CURSOR_CREDIT: 0x2d,
  SUBSCRIBE_CHANGES: 0x30,
  UNSUBSCRIBE_CHANGES: 0x31,
  LIST_DATABASES: 0x40,
  CREATE_DATABASE: 0x41,
  DROP_DATABASE: 0x42,
  GET_DATABASE_STATS: 0x43,
  CREATE_COLLECTION: 0x44,
  SUCCESS: 0x81,
  ERROR: 0x82,
  NOT_FOUND: 0x83,
  DUPLICATE: 0x84,
  STREAM_START: 0x85,
  STREAM_CHUNK: 0x86,
  STREAM_END: 0x87,
  PONG: 0x88,
  CHANGE_EVENT: 0x90,
});

const Flag = Object.freeze({ REQUEST_ID: 0x0001, TOKEN: 0x0002, COMPRESSED: 0x0004, SLOW_DOWN: 0x0010 });

/** Flags that an answer may have; COMPRESSED only where that was agreed on. */
const ANSWER_FLAGS = Flag.REQUEST_ID | Flag.TOKEN | Flag.SLOW_DOWN;

const HEADER_BYTES = 12;
const DEFAULT_PORT = 6970;
/** What a frame may hold before CONNECT has told the node's own limit. */
const MAX_FRAME_BYTES = 16 << 20;

module.exports = { Type, Flag, ANSWER_FLAGS, HEADER_BYTES, DEFAULT_PORT, MAX_FRAME_BYTES };
