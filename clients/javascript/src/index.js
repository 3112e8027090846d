'use strict';

/**
 * nexaclient: the official client of NexaDB. `require('nexaclient')` is the class `NexaClient`, with everything else as its
 * properties.
 */

const { NexaClient } = require('./client');
const { Collection } = require('./collection');
const { Cursor } = require('./cursor');
const { BulkWriter } = require('./bulk');
const { ChangeStream } = require('./watch');
const { parseAddress } = require('./address');
const { encode, decode, Extension, Timestamp } = require('./msgpack');
const { fromBytes } = require('./vector');
const { errorFromAnswer, ...errors } = require('./errors');

module.exports = Object.assign(NexaClient, {
  NexaClient,
  Collection,
  Cursor,
  BulkWriter,
  ChangeStream,
  parseAddress,
  encode,
  decode,
  Extension,
  Timestamp,
  vectorFromBytes: fromBytes,
  ...errors,
});
