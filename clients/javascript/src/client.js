'use strict';

/**
 * The client: options, life, and the requests of the protocol as methods.
 *
 * A method checks what it is given, encodes it and hands it to the dispatcher. Collections, cursors, change streams and the bulk
 * writer are built on these methods.
 */

const { EventEmitter } = require('node:events');
const { readFileSync } = require('node:fs');
const { parseAddress, readHost, INSECURE } = require('./address');
const { defaults, checkOptions: checkClientOptions } = require('./options');
const { Dispatcher } = require('./dispatcher');
const { Operation } = require('./operation');
const { RequestWriter, none, readOptions, writeOptions, checkOptions } = require('./request');
const { Type } = require('./wire/protocol');
const { checkName, checkKey, checkMap } = require('./names');
const { toFloat32 } = require('./vector');
const { Collection } = require('./collection');
const { Cursor } = require('./cursor');
const { ChangeStream } = require('./watch');
const { BulkWriter } = require('./bulk');
const { ConfigurationError, ValidationError } = require('./errors');
const { version } = require('../package.json');

/** What is negotiated with every node; `lz4` only where it is asked for. */
const FEATURES = ['request_id', 'token', 'stream', 'duplicate', 'op_id'];

class NexaClient extends EventEmitter {
  #targets;
  #settings;
  #dispatcher = null;
  #writer = new RequestWriter();
  #lastName;
  #streams = new Set();

  /**
   * @param {string | object} [address] `nexadb://...`, or the options
   * @param {object} [options] win over the address
   */
  constructor(address = {}, options = none) {
    super();
    const given = typeof address === 'string' ? { ...options, uri: address } : { ...address };
    const { uri, host, port, hosts, username, password, apiKey, database, ...rest } = given;
    const parsed = uri === undefined ? null : parseAddress(uri);
    const checked = checkClientOptions(rest);
    this.options = Object.freeze({ ...defaults, ...parsed?.options, ...checked });
    this.warnings = [...(parsed?.warnings ?? [])];
    if (checked.tlsInsecure && !parsed?.options.tlsInsecure) this.warnings.push(INSECURE);
    this.#targets = targetsOf({ host, port, hosts }, parsed);
    this.database = database ?? parsed?.database ?? 'default';
    checkName(this.database, 'database');
    const isTLS = checked.tls ?? parsed?.tls ?? false;
    this.#settings = {
      ...this.options,
      tls: isTLS ? tlsSettings(this.options) : null,
      greeting: greetingOf(this.options, this.database, {
        username: username ?? parsed?.username,
        password: password ?? parsed?.password,
        apiKey,
      }),
    };
  }

  // Life

  /**
   * Connects now rather than with the first operation, and fails where no node that `readPreference` names can be used.
   * @returns {Promise<this>}
   */
  async connect(options = none) {
    if (this.#dispatcher?.isClosed) {
      const { position } = this;
      this.#dispatcher = null;
      this.position = position;
    }
    await this.ping(options);
    return this;
  }

  /**
   * Takes no further operations, lets those under way finish (`graceMS`, 2 s), and closes all connections. `connect` opens it
   * again.
   */
  async disconnect({ graceMS = 2_000 } = none) {
    await Promise.all([...this.#streams].map((stream) => stream.close()));
    const dispatcher = this.#open();
    if (!dispatcher.isClosed) await dispatcher.close(graceMS);
  }

  /** The same as `disconnect`. */
  close(options) {
    return this.disconnect(options);
  }

  get isConnected() {
    return this.#dispatcher !== null && this.#dispatcher.topology.describe().some(({ role }) => role !== 'unknown');
  }

  /** What is known of the nodes: address, role, last error. */
  get hosts() {
    return this.#dispatcher?.topology.describe() ??
      this.#targets.map(({ host, port }) => ({ address: `${host}:${port}`, role: 'unknown', features: [], error: null }));
  }

  /** The position of the latest write that this client's reads are held to, `[epoch, lsn]`, or null. */
  get position() {
    const { epoch, lsn } = this.#dispatcher?.session ?? none;
    return lsn > 0 ? [epoch, lsn] : null;
  }

  /** Holds this client's reads to a position that another one was given. */
  set position(position) {
    if (position === null) return;
    if (!Array.isArray(position) || !position.every(Number.isSafeInteger)) throw new ValidationError('A position is [epoch, lsn]');
    this.#open().advance(position[0], position[1], null);
  }

  #open() {
    if (this.#dispatcher === null) {
      this.#dispatcher = new Dispatcher(this.#targets, this.#settings);
      this.#dispatcher.listeners.add(() => {
        if (this.listenerCount('topology') === 0) return;
        const { hosts } = this;
        // In a turn of its own: what a listener throws has nothing to do with the connection that brought the news.
        process.nextTick(() => this.emit('topology', hosts));
      });
    }
    return this.#dispatcher;
  }

  // Documents

  /**
   * Stores a new document; `_id` is its key when given.
   * @returns {Promise<object>} the document as stored, with `id`
   */
  create(collection, data, options = none) {
    return this.#write('create', Type.CREATE, collection, options, [], (writer) => {
      writer.value('data', checkMap(data, 'A document'));
    }, asDocument);
  }

  /** The document with this key, or null. */
  get(collection, key, options = none) {
    return this.#read('get', Type.READ, collection, options, ['withRevision'], (writer) => {
      writer.text('key', checkKey(key));
      if (options.withRevision) writer.value('rev', true);
    }, asDocument);
  }

  /** The documents with these keys, in their order, null where there is none. */
  getMany(collection, keys, options = none) {
    return this.#read('getMany', Type.MULTI_READ, collection, options, [], (writer) => {
      if (!Array.isArray(keys)) throw new ValidationError('Keys are an array');
      writer.value('keys', keys.map(checkKey));
    }, asList);
  }

  /**
   * Replaces the given fields of a document.
   * @returns {Promise<object | null>} the document after it, or null where there is none
   */
  update(collection, key, updates, options = none) {
    return this.#write('update', Type.UPDATE, collection, options, ['upsert', 'ifMatch'], (writer) => {
      writer.text('key', checkKey(key)).value('updates', checkMap(updates, 'An update'));
      writer.value('upsert', options.upsert).value('if_match', options.ifMatch);
    }, asDocument);
  }

  /** Removes a document. @returns {Promise<boolean>} whether there was one */
  delete(collection, key, options = none) {
    return this.#write(
      'delete',
      Type.DELETE,
      collection,
      options,
      ['ifMatch'],
      (writer) => {
        writer.text('key', checkKey(key)).value('if_match', options.ifMatch);
      },
      () => true,
      false,
    );
  }

  /** All documents that match, as an array; `find` of a collection gives them one by one. */
  query(collection, filters = none, options = none) {
    return this.#read(
      'query',
      Type.QUERY,
      collection,
      options,
      ['limit', 'skip', 'sort', 'projection'],
      (writer) => writeQuery(writer, filters, options),
      asList,
    );
  }

  /** @returns {Promise<number>} */
  count(collection, filters = none, options = none) {
    return this.#read(
      'count',
      Type.COUNT,
      collection,
      options,
      [],
      (writer) => writer.value('filters', checkMap(filters, 'A filter')),
      (answer) => (typeof answer === 'number' ? answer : answer.count),
    );
  }

  /**
   * Several writes in one request; atomic unless said otherwise.
   * @param {string | object[]} collection the collection, or operations that name their own
   * @param {object[]} items documents, or operations `{op: 'create' | 'put' | 'update' | 'delete', ...}` with `{operations: true}`
   * @returns {Promise<{ids: string[], count: number, errors?: {index: number, code: string, error: string}[]}>}
   */
  batchWrite(collection, items, options = none) {
    if (Array.isArray(collection)) return this.batchWrite(undefined, collection, { operations: true, ...items });
    return this.#write('batchWrite', Type.BATCH_WRITE, collection, options, ['operations', 'atomic', 'ordered'], (writer) => {
      if (!Array.isArray(items)) throw new ValidationError('A batch is an array');
      if (options.operations) writer.value('operations', items.map(toOperation));
      else writer.value('documents', items.map(toDocument));
      writer.value('atomic', options.atomic).value('ordered', options.ordered);
    });
  }

  /**
   * The documents whose vector is nearest, best first: `{id, score, document}`.
   * @param {ArrayLike<number>} vector @param {object | number} [options] or the limit
   */
  vectorSearch(collection, vector, options = none) {
    const more = typeof options === 'number' ? { limit: options } : options;
    return this.#read('vectorSearch', Type.VECTOR_SEARCH, collection, more, ['limit', 'filters', 'metric', 'field'], (writer) => {
      writer.value('vector', toFloat32(vector));
      writer.value('limit', more.limit).value('filters', more.filters).value('metric', more.metric).value('field', more.field);
    }, asList);
  }

  ping(options = none) {
    return this.#read('ping', Type.PING, undefined, options, [], () => {});
  }

  // The catalog

  listDatabases(options = none) {
    return this.#read('listDatabases', Type.LIST_DATABASES, undefined, options, [], () => {}, (answer) => answer.databases);
  }

  listCollections(options = none) {
    return this.#read('listCollections', Type.LIST_COLLECTIONS, undefined, options, [], () => {}, (answer) => answer.collections);
  }

  createCollection(collection, options = none) {
    return this.#write('createCollection', Type.CREATE_COLLECTION, collection, options, [], () => {});
  }

  dropCollection(collection, options = none) {
    return this.#write('dropCollection', Type.DROP_COLLECTION, collection, options, [], () => {});
  }

  collectionStats(collection, options = none) {
    return this.#read('collectionStats', Type.COLLECTION_STATS, collection, options, [], () => {});
  }

  createDatabase(database, options = none) {
    return this.#write('createDatabase', Type.CREATE_DATABASE, undefined, { ...options, database }, [], () => {});
  }

  dropDatabase(database, options = none) {
    return this.#write('dropDatabase', Type.DROP_DATABASE, undefined, { ...options, database }, [], () => {});
  }

  databaseStats(options = none) {
    return this.#read('databaseStats', Type.GET_DATABASE_STATS, undefined, options, [], () => {});
  }

  /** The figures of the node. */
  status(options = none) {
    return this.#read('status', Type.STATUS, undefined, options, [], () => {});
  }

  // Users

  createUser(username, password, options = none) {
    return this.#write('createUser', Type.CREATE_USER, undefined, options, ['role', 'databases'], (writer) => {
      writer.text('username', username).text('password', password).value('role', options.role).value(
        'databases',
        options.databases,
      );
    });
  }

  /**
   * Changes all that is given in one write: the role, the databases that the user is confined to (`{}`: to none), the password, or
   * (`newAPIKey`) the key, which the answer then holds, this once.
   */
  alterUser(username, options = none) {
    const known = ['role', 'databases', 'newPassword', 'newAPIKey'];
    return this.#write('alterUser', Type.ALTER_USER, undefined, options, known, (writer) => {
      writer.text('username', username).value('role', options.role).value('databases', options.databases);
      writer.value('new_password', options.newPassword).value('new_api_key', options.newAPIKey);
    });
  }

  deleteUser(username, options = none) {
    return this.#write('deleteUser', Type.DELETE_USER, undefined, options, [], (writer) => writer.text('username', username));
  }

  listUsers(options = none) {
    return this.#read('listUsers', Type.LIST_USERS, undefined, options, [], () => {}, (answer) => answer.users);
  }

  changePassword(username, newPassword, options = none) {
    return this.#write('changePassword', Type.CHANGE_PASSWORD, undefined, options, [], (writer) => {
      writer.text('username', username).text('new_password', newPassword);
    });
  }

  // What is built on these

  /** The Mongo-like view of a collection. */
  collection(name, options = none) {
    return new Collection(this, name, options);
  }

  /** A cursor over all documents that match. */
  find(collection, filters = none, options = none) {
    checkName(collection);
    checkOptions(options, readOptions, ['limit', 'skip', 'sort', 'projection', 'batchSize']);
    return new Cursor((overrides, stream, resolve, reject) => {
      const all = { ...options, ...overrides };
      const operation = this.#readOperation('find', Type.QUERY, collection, all, (writer) => {
        writeQuery(writer, filters, all);
        writer.value('stream', true).value('batch_size', all.batchSize);
      });
      operation.stream = stream;
      this.#open().begin(operation, resolve, reject);
      return operation;
    }, { timeoutMS: options.timeoutMS ?? this.options.timeoutMS });
  }

  /** Changes as they are committed, of one collection or (undefined) of the whole database. */
  watch(collection, options = none) {
    if (collection !== undefined) checkName(collection);
    const stream = new ChangeStream(
      this,
      this.#settings,
      () => this.#open(),
      collection,
      options,
      (ended) => this.#streams.delete(ended),
    );
    if (!stream.isClosed) this.#streams.add(stream);
    return stream;
  }

  /** A writer of many documents in batches. */
  bulk(collection, options = none) {
    checkName(collection);
    const { timeoutMS, durability, w, wtimeoutMS, database, ...more } = options;
    const common = { timeoutMS, durability, w, wtimeoutMS, database };
    const send = (items, { ordered }) =>
      this.#write('bulk', Type.BATCH_WRITE, collection, common, [], (writer) => {
        writer.encodedList('operations', items).value('atomic', false).value('ordered', ordered);
      });
    return new BulkWriter(send, more);
  }

  [Symbol.for('nodejs.util.inspect.custom')]() {
    return `NexaClient ${this.hosts.map(({ address }) => address).join(',')}/${this.database}`;
  }

  // Requests

  #read(name, type, collection, options, more, fill, result) {
    let operation;
    try {
      checkOptions(options, readOptions, more);
      operation = this.#readOperation(name, type, collection, options, fill);
    } catch (error) {
      return Promise.reject(error);
    }
    operation.result = result;
    return this.#open().run(operation);
  }

  #readOperation(name, type, collection, options, fill) {
    const writer = this.#writer.start();
    this.#writeNames(writer, type, collection, options);
    fill(writer);
    const concern = options.readConcern ?? this.options.readConcern;
    if (concern !== 'local') writer.text('read_concern', concern);
    const operation = new Operation(type, name, collection, false);
    operation.readPreference = options.readPreference ?? this.options.readPreference;
    operation.maxStalenessMS = (options.maxStalenessSeconds ?? this.options.maxStalenessSeconds) * 1000;
    return this.#finish(operation, options);
  }

  #write(name, type, collection, options, more, fill, result, absent = null) {
    const writer = this.#writer.start();
    try {
      checkOptions(options, writeOptions, more);
      this.#writeNames(writer, type, collection, options);
      fill(writer);
    } catch (error) {
      return Promise.reject(error);
    }
    const { durability = this.options.durability, w = this.options.w, wtimeoutMS = this.options.wtimeoutMS } = options;
    writer.value('durability', durability);
    if (w !== 1) writer.value('w', w);
    if (wtimeoutMS > 0) writer.value('wtimeout_ms', wtimeoutMS);
    const operation = new Operation(type, name, collection, true);
    operation.result = result;
    operation.absent = absent;
    return this.#open().run(this.#finish(operation, options));
  }

  #finish(operation, options) {
    this.#writer.finish(operation);
    operation.signal = options.signal;
    operation.timeoutMS = options.timeoutMS ?? this.options.timeoutMS;
    return operation;
  }

  #writeNames(writer, type, collection, options) {
    // The same name comes again and again.
    if (collection !== undefined) {
      writer.text('collection', collection === this.#lastName ? collection : this.#lastName = checkName(collection));
    } else if (type === Type.READ || type === Type.CREATE) throw new ValidationError('A collection is missing');
    if (options.database !== undefined) writer.text('database', checkName(options.database, 'database'));
  }
}

if (Symbol.asyncDispose) {
  NexaClient.prototype[Symbol.asyncDispose] = function dispose() {
    return this.disconnect();
  };
}

function writeQuery(writer, filters, options) {
  writer.value('filters', checkMap(filters, 'A filter'));
  for (const name of ['limit', 'skip']) {
    const value = options[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
      throw new ValidationError(`${name} is a whole number from 0`);
    }
    writer.value(name, value);
  }
  writer.value('sort', options.sort).value('projection', options.projection);
}

function toDocument(document) {
  return checkMap(document, 'A document');
}

/** What READ, CREATE and UPDATE answer. */
function asDocument(answer) {
  if (answer === null || typeof answer !== 'object' || typeof answer._id !== 'string') throw new TypeError('it is no document');
  return answer;
}

function asList(answer) {
  if (!Array.isArray(answer)) throw new TypeError('it is no list');
  return answer;
}

function toOperation(operation) {
  const { ifMatch, ...rest } = checkMap(operation, 'An operation');
  return ifMatch === undefined ? rest : { ...rest, if_match: ifMatch };
}

function targetsOf({ host, port, hosts }, parsed) {
  if (hosts !== undefined) {
    return hosts.map((
      one,
    ) => (typeof one === 'string' ? readHost(one) : { host: String(one.host), port: checkPort(one.port ?? 6970) }));
  }
  if (host === undefined && port === undefined && parsed !== null) return parsed.hosts;
  return [{ host: host ?? parsed?.hosts[0].host ?? 'localhost', port: checkPort(port ?? parsed?.hosts[0].port ?? 6970) }];
}

function checkPort(port) {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new ConfigurationError('A port is a number from 1 to 65535');
  return port;
}

/** What CONNECT says. Credentials are kept here alone, where nothing prints them. */
function greetingOf(options, database, { username, password, apiKey }) {
  const features = options.compress === 'lz4' ? [...FEATURES, 'lz4'] : FEATURES;
  const greeting = { client: 'nexaclient-javascript', version, dialect: 'plain', features, database };
  if (options.appName !== undefined) greeting.app_name = options.appName;
  if (apiKey !== null && apiKey !== undefined) greeting.api_key = String(apiKey);
  if (username !== null && username !== undefined) {
    Object.assign(greeting, { username: String(username), password: String(password ?? '') });
  }
  return greeting;
}

function tlsSettings(options) {
  const read = (file) => {
    if (file === undefined) return undefined;
    try {
      return readFileSync(file);
    } catch (cause) {
      throw new ConfigurationError(`Cannot read ${file}: ${cause.message}`, { cause });
    }
  };
  return {
    minVersion: 'TLSv1.3',
    ca: read(options.tlsCAFile),
    cert: read(options.tlsCertFile),
    key: read(options.tlsKeyFile),
    rejectUnauthorized: !options.tlsInsecure,
    servername: options.tlsServerName,
  };
}

module.exports = { NexaClient };
