'use strict';

/**
 * A collection in the manner of MongoDB's drivers, on the requests that the node has.
 *
 * Filters reach one document by its `_id`, or the first that matches. Methods on one document look it up, change it under its
 * revision and begin again where somebody else was faster, so they are atomic for that document. `updateMany` and `deleteMany` are
 * not atomic as a whole.
 */

const { ValidationError, ConflictError } = require('./errors');
const { checkName } = require('./names');

const ATTEMPTS_MAX = 20;

class Collection {
  #client;
  #common;

  constructor(client, name, { database } = {}) {
    this.#client = client;
    this.name = checkName(name);
    this.#common = database === undefined ? {} : { database };
  }

  // Reading

  find(filter = {}, options = {}) {
    return this.#client.find(this.name, filter, this.#with(options));
  }

  /** The first document that matches, or null. */
  async findOne(filter = {}, options = {}) {
    const { sort, projection, ...common } = options;
    const key = keyOf(filter);
    if (key !== undefined && projection === undefined) return this.#client.get(this.name, key, this.#with(common));
    const [document] = await this.#client.query(this.name, filter, this.#with({ ...common, sort, projection, limit: 1 }));
    return document ?? null;
  }

  countDocuments(filter = {}, options = {}) {
    return this.#client.count(this.name, filter, this.#with(options));
  }

  vectorSearch(vector, options = {}) {
    return this.#client.vectorSearch(this.name, vector, this.#with(typeof options === 'number' ? { limit: options } : options));
  }

  watch(options = {}) {
    return this.#client.watch(this.name, this.#with(options));
  }

  // Writing

  async insertOne(document, options = {}) {
    const stored = await this.#client.create(this.name, document, this.#with(options));
    return { insertedId: stored._id };
  }

  /** All or none. */
  async insertMany(documents, options = {}) {
    const { ids, count } = await this.#client.batchWrite(this.name, documents, this.#with({ ...options, atomic: true }));
    return { insertedIds: ids, insertedCount: count };
  }

  /** `{$set: {...}}` or plain fields. */
  async updateOne(filter, update, options = {}) {
    const updates = fieldsOf(update);
    const { upsert = false, ...common } = options;
    const key = keyOf(filter);
    if (key !== undefined) {
      const updated = await this.#client.update(this.name, key, updates, this.#with({ ...common, upsert }));
      return { matchedCount: updated === null ? 0 : 1, upsertedId: null };
    }
    const changed = await this.#changeFirst(
      filter,
      common,
      (found, more) => this.#client.update(this.name, found._id, updates, { ...more, ifMatch: found._rev }),
    );
    if (changed === null && upsert) {
      const { insertedId } = await this.insertOne({ ...equalitiesOf(filter), ...updates }, common);
      return { matchedCount: 0, upsertedId: insertedId };
    }
    return { matchedCount: changed === null ? 0 : 1, upsertedId: null };
  }

  async updateMany(filter, update, options = {}) {
    const updates = fieldsOf(update);
    return { matchedCount: await this.#changeAll(filter, options, (key) => ({ op: 'update', key, updates })) };
  }

  /** Puts a whole document in the place of one. */
  async replaceOne(filter, document, options = {}) {
    const { upsert = false, ...common } = options;
    const key = keyOf(filter);
    if (key !== undefined && upsert) {
      await this.#put({ ...document, _id: key }, common);
      return { matchedCount: 1, upsertedId: null };
    }
    const replaced = await this.#changeFirst(
      filter,
      common,
      (found, more) => this.#put({ ...document, _id: found._id }, more, found._rev),
    );
    if (replaced === null && upsert) return { matchedCount: 0, upsertedId: (await this.insertOne(document, common)).insertedId };
    return { matchedCount: replaced === null ? 0 : 1, upsertedId: null };
  }

  async deleteOne(filter, options = {}) {
    const key = keyOf(filter);
    if (key !== undefined) return { deletedCount: await this.#client.delete(this.name, key, this.#with(options)) ? 1 : 0 };
    const deleted = await this.#changeFirst(
      filter,
      options,
      (found, more) => this.#client.delete(this.name, found._id, { ...more, ifMatch: found._rev }),
    );
    return { deletedCount: deleted === null ? 0 : 1 };
  }

  async deleteMany(filter = {}, options = {}) {
    return { deletedCount: await this.#changeAll(filter, options, (key) => ({ op: 'delete', key })) };
  }

  /**
   * Operations `{insertOne: {document}}`, `{updateOne: {filter: {_id}, update}}`, `{replaceOne: {filter: {_id}, replacement}}`,
   * `{deleteOne: {filter: {_id}}}`.
   */
  async bulkWrite(operations, options = {}) {
    const { ordered = true, ...common } = options;
    const items = operations.map(toItem);
    return this.#client.batchWrite(this.name, items, this.#with({ ...common, operations: true, atomic: false, ordered }));
  }

  /** A writer of many documents in batches. */
  bulk(options = {}) {
    return this.#client.bulk(this.name, this.#with(options));
  }

  drop(options = {}) {
    return this.#client.dropCollection(this.name, this.#with(options));
  }

  stats(options = {}) {
    return this.#client.collectionStats(this.name, this.#with(options));
  }

  #with(options) {
    return { ...this.#common, ...options };
  }

  #put(document, options, revision) {
    return this.#client.batchWrite(
      this.name,
      [{ op: 'put', data: document, ifMatch: revision }],
      this.#with({ ...options, operations: true }),
    );
  }

  /** Changes the first document that matches, under its revision; null where none does. */
  async #changeFirst(filter, options, change) {
    const { timeoutMS, signal, database } = options;
    const common = this.#with({ timeoutMS, signal, ...(database === undefined ? {} : { database }) });
    let failure;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const [candidate] = await this.#client.query(this.name, filter, { ...common, limit: 1, projection: ['_id'] });
      if (candidate === undefined) return null;
      const found = await this.#client.get(this.name, candidate._id, { ...common, withRevision: true });
      // It may have changed in between; the revision is taken first, and only what still matches under it is changed.
      if (found === null || await this.#client.count(this.name, { $and: [{ _id: found._id }, filter] }, common) === 0) continue;
      try {
        const changed = await change(found, this.#with(options));
        if (changed !== null && changed !== false) return changed;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        failure = error;
      }
    }
    throw failure ?? new ConflictError(`The document changed ${ATTEMPTS_MAX} times under the update`, { code: 'CONFLICT' });
  }

  async #changeAll(filter, options, toOperation) {
    const { timeoutMS, signal, ...common } = options;
    const { database = this.#common.database } = options;
    const writer = this.bulk({ ...common, timeoutMS });
    const found = this.find(filter, { timeoutMS, signal, database, projection: ['_id'] });
    for await (const { _id } of found) await writer.add(toOperation(_id));
    const result = await writer.close();
    return result.acknowledged;
  }
}

/** The key, where the filter is `{_id: 'key'}` and nothing else. */
function keyOf(filter) {
  const names = Object.keys(filter ?? {});
  return names.length === 1 && names[0] === '_id' && typeof filter._id === 'string' ? filter._id : undefined;
}

/** The fields that an update replaces. */
function fieldsOf(update) {
  const operators = Object.keys(update).filter((name) => name.startsWith('$'));
  if (operators.length === 0) return update;
  if (operators.length > 1 || Object.keys(update).length > 1 || operators[0] !== '$set') {
    throw new ValidationError(`Only $set is known in an update, and nothing beside it: ${Object.keys(update).join(', ')}`);
  }
  const dotted = Object.keys(update.$set).find((name) => name.includes('.'));
  if (dotted !== undefined) throw new ValidationError(`$set replaces whole fields; '${dotted}' names a part of one`);
  return update.$set;
}

/** What a new document of an upsert takes over from its filter. */
function equalitiesOf(filter) {
  return Object.fromEntries(
    Object.entries(filter).filter(([name, value]) =>
      !name.startsWith('$') && !name.includes('.') &&
      (value === null || typeof value !== 'object' || Array.isArray(value))
    ),
  );
}

function toItem(operation) {
  const [[name, argument], ...more] = Object.entries(operation);
  const key = () => {
    const found = keyOf(argument.filter);
    if (found === undefined) throw new ValidationError(`${name} in bulkWrite finds its document by {_id: key}`);
    return found;
  };
  if (more.length === 0) {
    switch (name) {
      case 'insertOne':
        return { op: 'create', data: argument.document };
      case 'updateOne':
        return { op: 'update', key: key(), updates: fieldsOf(argument.update), upsert: argument.upsert };
      case 'replaceOne':
        return { op: 'put', data: { ...argument.replacement, _id: key() } };
      case 'deleteOne':
        return { op: 'delete', key: key() };
      default:
    }
  }
  throw new ValidationError(
    `bulkWrite knows insertOne, updateOne, replaceOne and deleteOne, one in each entry: ${Object.keys(operation).join(', ')}`,
  );
}

module.exports = { Collection };
