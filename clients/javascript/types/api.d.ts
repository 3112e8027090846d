/** Everything that nexaclient exports; `index.d.ts` and `index.d.mts` give it the shape of a CommonJS and of an ES module. */

declare global {
  // Known to TypeScript from 5.2 on.
  interface SymbolConstructor { readonly asyncDispose: unique symbol }
}

// ---------------------------------------------------------------------------------------------------------------- documents

/** What a document may hold. */
export type Value =
  | null | boolean | number | bigint | string | Date | Uint8Array | Float32Array | Extension | Timestamp
  | readonly Value[] | { readonly [name: string]: Value | undefined };

/** A document whose fields are not known. */
export interface AnyDocument { [name: string]: any }

/** What the node adds to every document. */
export interface Stored {
  /** The key; the same as `_id`. */
  id: string;
  _id: string;
  /** ISO 8601, UTC, microseconds. */
  _created_at: string;
  _updated_at: string;
}

/** A document as it comes back. `id` is the document's own where it has one. */
export type WithId<T> = T & Omit<Stored, keyof T>;

/** A document with its revision, for `ifMatch`. */
export type WithRevision<T> = WithId<T> & { _rev: number };

/** A document as it is stored for the first time: the key may be chosen. */
export type NewDocument<T> = Omit<T, '_id'> & { _id?: string };

// ------------------------------------------------------------------------------------------------------------------- filters

type Scalar = null | undefined | boolean | number | bigint | string | Date | Uint8Array | Float32Array | Extension | Timestamp;

/** How deep dotted paths are followed by the types; deeper ones are any text. */
type Previous = [never, 0, 1, 2, 3];

/** The names of fields, and the dotted paths into maps and the elements of arrays. */
export type Path<T, Depth extends number = 4> = [Depth] extends [never] ? never
  : T extends Scalar ? never
  : T extends readonly (infer Element)[] ? `${number}` | Path<Element, Depth> | Within<`${number}`, Element, Depth>
  : { [K in keyof T & string]: K | Within<K, T[K], Depth> }[keyof T & string];

type Within<K extends string, V, Depth extends number> = NonNullable<V> extends Scalar ? never
  : Path<NonNullable<V>, Previous[Depth]> extends infer Rest ? Rest extends string ? `${K}.${Rest}` : never : never;

/** The type of what lies at a path. */
export type PathValue<T, P extends string> =
  T extends readonly (infer Element)[] ? (P extends `${number}` ? Element : P extends `${number}.${infer Rest}` ? PathValue<Element, Rest> : PathValue<Element, P>)
  : P extends keyof T ? NonNullable<T[P]> | (undefined extends T[P] ? null : T[P])
  : P extends `${infer K}.${infer Rest}` ? (K extends keyof T ? PathValue<NonNullable<T[K]>, Rest> : never)
  : never;

/** What a condition on a value may be: the value, an element of it where it is an array, or operators. */
export type Condition<V> = V | (V extends readonly (infer Element)[] ? Element : never) | Operators<V>;

type Comparable<V> = V extends readonly (infer Element)[] ? Element | V : V;

export interface Operators<V> {
  $eq?: Comparable<V> | null;
  $ne?: Comparable<V> | null;
  $gt?: Comparable<V>;
  $gte?: Comparable<V>;
  $lt?: Comparable<V>;
  $lte?: Comparable<V>;
  $in?: readonly (Comparable<V> | null)[];
  $nin?: readonly (Comparable<V> | null)[];
  $exists?: boolean;
  $not?: Operators<V>;
}

type Conditions<T> = { [P in Path<T>]?: Condition<PathValue<T, P>> | null };

/** Conditions on the fields of `T`, all of which hold. */
export type Filter<T = AnyDocument> = (string extends keyof T ? { [path: string]: any } : Conditions<T> & Conditions<Stored>) & {
  $and?: readonly Filter<T>[];
  $or?: readonly Filter<T>[];
  $nor?: readonly Filter<T>[];
};

type NoOperators = { [name: `$${string}`]: never };

/** Fields that replace those of the document, or `{$set: fields}`. */
export type Update<T = AnyDocument> = (string extends keyof T ? AnyDocument : Partial<Omit<T, '_id' | 'id'>> & NoOperators) | { $set: Partial<Omit<T, '_id' | 'id'>> };

export type Fields<T = AnyDocument> = string extends keyof T ? AnyDocument : Partial<Omit<T, '_id' | 'id'>>;

export type Direction = 1 | -1;
type SortName<T> = string extends keyof T ? string : Path<T> | keyof Stored;
export type Sort<T = AnyDocument> = SortName<T> | `-${SortName<T>}` | { [P in SortName<T>]?: Direction } | readonly (readonly [SortName<T>, Direction])[];
export type Projection<T = AnyDocument> = readonly SortName<T>[] | { [P in SortName<T>]?: 0 | 1 };

// ------------------------------------------------------------------------------------------------------------------- options

export type ReadPreference = 'primary' | 'primaryPreferred' | 'secondary' | 'secondaryPreferred' | 'nearest';
export type ReadConcern = 'local' | 'committed' | 'linearizable';
export type Durability = 'disk' | 'os';
/** A place in the history of the store: epoch and LSN. */
export type Position = readonly [epoch: number, lsn: number];

export interface ClientOptions {
  /** `nexadb://...`; what stands beside it here wins. */
  uri?: string;
  host?: string;
  port?: number;
  /** Several nodes, `host:port` or maps. */
  hosts?: readonly (string | { host: string; port?: number })[];
  username?: string;
  password?: string;
  apiKey?: string;
  /** The database of requests that name none ("default"). */
  database?: string;
  readPreference?: ReadPreference;
  maxStalenessSeconds?: number;
  localThresholdMS?: number;
  /** The budget of one operation, from the call to the answer (30,000; 0: none). */
  timeoutMS?: number;
  /** How long an operation looks for a node that it can use (5,000). */
  serverSelectionTimeoutMS?: number;
  connectTimeoutMS?: number;
  /** Connections per node (1); each carries any number of operations. */
  poolSize?: number;
  /** Operations that wait for an answer (10,000); beyond it a call fails with `QueueFullError`. */
  maxQueue?: number;
  /** Bytes that wait to be sent, for each connection (64 MiB). */
  maxQueueBytes?: number;
  /** The largest result that `query` gathers (16 MiB); beyond it `TooLargeError`: use `find`. */
  maxResultBytes?: number;
  retryReads?: boolean;
  retryWrites?: boolean;
  durability?: Durability;
  w?: number | 'majority';
  wtimeoutMS?: number;
  readConcern?: ReadConcern;
  compress?: 'lz4' | 'none';
  /** A name for the node's log. */
  appName?: string;
  tls?: boolean;
  tlsCAFile?: string;
  tlsCertFile?: string;
  tlsKeyFile?: string;
  tlsServerName?: string;
  tlsInsecure?: boolean;
  /** How often nodes are asked what they are (10,000). */
  heartbeatMS?: number;
  /** Reads see this client's own writes, on every node (true). */
  readYourWrites?: boolean;
  /** Nodes that others name as their leader are used as well (true). */
  discover?: boolean;
  /** 64-bit integers beyond 2^53: BigInt (`auto`), always BigInt (`bigint`), or rounded (`number`). */
  bigints?: 'auto' | 'bigint' | 'number';
}

export interface CommonOptions {
  timeoutMS?: number;
  signal?: AbortSignal;
  database?: string;
}

export interface ReadOptions extends CommonOptions {
  readPreference?: ReadPreference;
  readConcern?: ReadConcern;
  maxStalenessSeconds?: number;
}

export interface WriteOptions extends CommonOptions {
  durability?: Durability;
  w?: number | 'majority';
  wtimeoutMS?: number;
}

export interface QueryOptions<T = AnyDocument> extends ReadOptions {
  limit?: number;
  skip?: number;
  sort?: Sort<T>;
  projection?: Projection<T>;
}

export interface FindOptions<T = AnyDocument> extends QueryOptions<T> { batchSize?: number }

export interface UpdateOptions extends WriteOptions { upsert?: boolean; ifMatch?: number }

export interface VectorSearchOptions<T = AnyDocument> extends ReadOptions {
  /** 10 unless said otherwise. */
  limit?: number;
  filters?: Filter<T>;
  metric?: 'cosine' | 'dot' | 'l2';
  field?: string;
}

export interface VectorHit<T = AnyDocument> { id: string; score: number; document: WithId<T> }

/** Anything with numbers in it, of one length for a collection. */
export type Vector = readonly number[] | Float32Array | Float64Array;

export interface BatchOptions extends WriteOptions {
  /** All or nothing (true). */
  atomic?: boolean;
  /** Where not atomic: stop at the first failure (true). */
  ordered?: boolean;
}

export type BatchOperation<T = AnyDocument> = { collection?: string } & (
  | { op: 'create'; data: NewDocument<T> }
  | { op: 'put'; data: NewDocument<T>; key?: string; ifMatch?: number }
  | { op: 'update'; key: string; updates: Fields<T>; upsert?: boolean; ifMatch?: number }
  | { op: 'delete'; key: string; ifMatch?: number });

export interface BatchResult {
  ids: string[];
  count: number;
  /** What failed, where the batch was not atomic. */
  errors?: { index: number; code: string; error: string }[];
}

export interface UserRights {
  role?: 'admin' | 'write' | 'read' | 'replication';
  /** The databases that the user is confined to; an empty map: all. */
  databases?: Record<string, 'read' | 'write'>;
}

export interface HostDescription { address: string; role: string; features: string[]; error: NexaError | null }

// -------------------------------------------------------------------------------------------------------------------- client

export class NexaClient {
  constructor(options?: ClientOptions);
  constructor(address: string, options?: Omit<ClientOptions, 'uri'>);

  readonly options: Readonly<ClientOptions>;
  readonly database: string;
  /** Options of the address that are not known, and `tlsInsecure`. */
  readonly warnings: string[];
  readonly isConnected: boolean;
  readonly hosts: HostDescription[];
  /** The position of the latest write that this client's reads are held to; may be handed to another client. */
  position: Position | null;

  /** Connects now rather than with the first operation. */
  connect(options?: ReadOptions): Promise<this>;
  /** Lets what is under way finish for `graceMS` (2,000) and closes all connections. */
  disconnect(options?: { graceMS?: number }): Promise<void>;
  close(options?: { graceMS?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  create<T extends object = AnyDocument>(collection: string, data: NewDocument<T>, options?: WriteOptions): Promise<WithId<T>>;
  /** The document, or null. */
  get<T extends object = AnyDocument>(collection: string, key: string, options: ReadOptions & { withRevision: true }): Promise<WithRevision<T> | null>;
  get<T extends object = AnyDocument>(collection: string, key: string, options?: ReadOptions & { withRevision?: boolean }): Promise<WithId<T> | null>;
  getMany<T extends object = AnyDocument>(collection: string, keys: readonly string[], options?: ReadOptions): Promise<(WithId<T> | null)[]>;
  /** The document after the update, or null where there is none. */
  update<T extends object = AnyDocument>(collection: string, key: string, updates: Fields<T>, options?: UpdateOptions): Promise<WithId<T> | null>;
  /** Whether there was one. */
  delete(collection: string, key: string, options?: WriteOptions & { ifMatch?: number }): Promise<boolean>;
  query<T extends object = AnyDocument>(collection: string, filters?: Filter<T>, options?: QueryOptions<T>): Promise<WithId<T>[]>;
  find<T extends object = AnyDocument>(collection: string, filters?: Filter<T>, options?: FindOptions<T>): Cursor<WithId<T>>;
  count<T extends object = AnyDocument>(collection: string, filters?: Filter<T>, options?: ReadOptions): Promise<number>;
  batchWrite<T extends object = AnyDocument>(collection: string, documents: readonly NewDocument<T>[], options?: BatchOptions & { operations?: false }): Promise<BatchResult>;
  batchWrite<T extends object = AnyDocument>(collection: string, operations: readonly BatchOperation<T>[], options: BatchOptions & { operations: true }): Promise<BatchResult>;
  batchWrite(operations: readonly BatchOperation[], options?: BatchOptions): Promise<BatchResult>;
  vectorSearch<T extends object = AnyDocument>(collection: string, vector: Vector, options?: VectorSearchOptions<T> | number): Promise<VectorHit<T>[]>;
  ping(options?: ReadOptions): Promise<AnyDocument>;

  collection<T extends object = AnyDocument>(name: string, options?: { database?: string }): Collection<T>;
  bulk<T extends object = AnyDocument>(collection: string, options?: BulkOptions): BulkWriter<T>;
  watch<T extends object = AnyDocument>(collection?: string, options?: WatchOptions): ChangeStream<T>;

  listDatabases(options?: ReadOptions): Promise<string[]>;
  listCollections(options?: ReadOptions): Promise<string[]>;
  createCollection(collection: string, options?: WriteOptions): Promise<AnyDocument>;
  dropCollection(collection: string, options?: WriteOptions): Promise<AnyDocument | null>;
  collectionStats(collection: string, options?: ReadOptions): Promise<AnyDocument>;
  createDatabase(database: string, options?: WriteOptions): Promise<AnyDocument>;
  dropDatabase(database: string, options?: WriteOptions): Promise<AnyDocument | null>;
  databaseStats(options?: ReadOptions): Promise<AnyDocument>;
  status(options?: ReadOptions): Promise<AnyDocument>;
  createUser(username: string, password: string, options?: WriteOptions & UserRights): Promise<AnyDocument>;
  alterUser(username: string, options?: WriteOptions & UserRights & { newPassword?: string; newAPIKey?: boolean }): Promise<AnyDocument>;
  deleteUser(username: string, options?: WriteOptions): Promise<AnyDocument | null>;
  listUsers(options?: ReadOptions): Promise<AnyDocument>;
  changePassword(username: string, newPassword: string, options?: WriteOptions): Promise<AnyDocument | null>;

  /** Told whenever the nodes, or what is known of them, changed. There is no 'error' event. */
  on(event: 'topology', listener: (hosts: HostDescription[]) => void): this;
  once(event: 'topology', listener: (hosts: HostDescription[]) => void): this;
  off(event: 'topology', listener: (hosts: HostDescription[]) => void): this;
}

export class Collection<T extends object = AnyDocument> {
  private constructor();
  readonly name: string;
  find(filter?: Filter<T>, options?: FindOptions<T>): Cursor<WithId<T>>;
  findOne(filter?: Filter<T>, options?: Omit<QueryOptions<T>, 'limit' | 'skip'>): Promise<WithId<T> | null>;
  countDocuments(filter?: Filter<T>, options?: ReadOptions): Promise<number>;
  vectorSearch(vector: Vector, options?: VectorSearchOptions<T> | number): Promise<VectorHit<T>[]>;
  watch(options?: WatchOptions): ChangeStream<T>;
  insertOne(document: NewDocument<T>, options?: WriteOptions): Promise<{ insertedId: string }>;
  insertMany(documents: readonly NewDocument<T>[], options?: WriteOptions): Promise<{ insertedIds: string[]; insertedCount: number }>;
  updateOne(filter: Filter<T>, update: Update<T>, options?: WriteOptions & { upsert?: boolean }): Promise<UpdateResult>;
  updateMany(filter: Filter<T>, update: Update<T>, options?: WriteOptions): Promise<{ matchedCount: number }>;
  replaceOne(filter: Filter<T>, document: NewDocument<T>, options?: WriteOptions & { upsert?: boolean }): Promise<UpdateResult>;
  deleteOne(filter: Filter<T>, options?: WriteOptions): Promise<{ deletedCount: number }>;
  deleteMany(filter?: Filter<T>, options?: WriteOptions): Promise<{ deletedCount: number }>;
  bulkWrite(operations: readonly BulkWriteOperation<T>[], options?: WriteOptions & { ordered?: boolean }): Promise<BatchResult>;
  bulk(options?: BulkOptions): BulkWriter<T>;
  drop(options?: WriteOptions): Promise<AnyDocument | null>;
  stats(options?: ReadOptions): Promise<AnyDocument>;
}

export interface UpdateResult { matchedCount: number; upsertedId: string | null }

type ByKey = { filter: { _id: string } };

export type BulkWriteOperation<T = AnyDocument> =
  | { insertOne: { document: NewDocument<T> } }
  | { updateOne: ByKey & { update: Update<T>; upsert?: boolean } }
  | { replaceOne: ByKey & { replacement: NewDocument<T> } }
  | { deleteOne: ByKey };

/** Documents one by one, with back-pressure; `break` closes it. */
export class Cursor<D = AnyDocument> implements AsyncIterable<D> {
  private constructor();
  sort(sort: Sort): this;
  limit(limit: number): this;
  skip(skip: number): this;
  project(projection: Projection): this;
  batchSize(batchSize: number): this;
  readonly isClosed: boolean;
  /** The next document, or null at the end. */
  next(): Promise<D | null>;
  /** All that are left; more than `limit` is an error. */
  toArray(options?: { limit?: number }): Promise<D[]>;
  close(): Promise<void>;
  [Symbol.asyncIterator](): AsyncIterator<D, undefined>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface BulkOptions extends Omit<WriteOptions, 'signal'> {
  /** Items of a batch (1,000). */
  batchSize?: number;
  /** Bytes of a batch (1 MiB). */
  batchBytes?: number;
  /** The longest that the first item of a batch waits (20). */
  flushMS?: number;
  /** Batches under way (2); 1 where `ordered`. */
  concurrency?: number;
  /** One after the other, and nothing behind the first failure (false). */
  ordered?: boolean;
  /** The number of the first item (0): where an import goes on. */
  startAt?: number;
  onError?: (error: BulkItemError) => void;
}

export interface BulkItemError { index: number; code: string; message: string; outcome: 'none' | 'unknown'; cause?: unknown }

export interface BulkResult {
  acknowledged: number;
  failed: number;
  /** All items below this number are acknowledged. */
  checkpoint: number;
  errors: BulkItemError[];
}

export class BulkWriter<T extends object = AnyDocument> {
  private constructor();
  readonly checkpoint: number;
  readonly result: BulkResult;
  /** Each is done when there is room for another item. */
  insert(document: NewDocument<T>): Promise<void>;
  put(document: NewDocument<T>): Promise<void>;
  update(key: string, updates: Fields<T>, options?: { upsert?: boolean }): Promise<void>;
  delete(key: string): Promise<void>;
  add(operation: BatchOperation<T>): Promise<void>;
  /** Waits for everything; rejects with `BulkWriteError` where items failed since the last time. */
  flush(): Promise<BulkResult>;
  close(): Promise<BulkResult>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface WatchOptions {
  operations?: readonly ('insert' | 'update' | 'delete')[];
  /** `false` leaves the field `vector` out of documents. */
  includeVector?: boolean;
  /** A token of an earlier event or stream: go on behind it. */
  resumeAfter?: Uint8Array;
  /** Changes behind a position. */
  startAfter?: Position;
  readPreference?: ReadPreference;
  database?: string;
  signal?: AbortSignal;
  /** How long it looks for a node before it fails (60,000). */
  resumeTimeoutMS?: number;
}

export interface ChangeEvent<T extends object = AnyDocument> {
  operationType: 'insert' | 'update' | 'delete' | 'dropCollection' | 'dropDatabase' | (string & {});
  ns: { db: string; coll?: string };
  timestamp: number;
  documentKey?: { _id: string };
  /** Of insert and update. */
  fullDocument?: WithId<T>;
  /** Of update. */
  updateDescription?: { updatedFields: Partial<T> };
  position: Position;
  resumeToken: Uint8Array;
}

export class ChangeStream<T extends object = AnyDocument> implements AsyncIterable<ChangeEvent<T>> {
  private constructor();
  /** Done when every later change will be told. */
  ready(): Promise<this>;
  readonly resumeToken: Uint8Array | undefined;
  /** Changes that came and were not taken. */
  readonly bufferedCount: number;
  readonly isClosed: boolean;
  next(): Promise<ChangeEvent<T> | null>;
  tryNext(): ChangeEvent<T> | null;
  close(): Promise<void>;
  [Symbol.asyncIterator](): AsyncIterator<ChangeEvent<T>, undefined>;
  [Symbol.asyncDispose](): Promise<void>;
}

// -------------------------------------------------------------------------------------------------------------------- values

/** An extension value of MessagePack. */
export class Extension {
  constructor(type: number, data: Uint8Array);
  readonly type: number;
  readonly data: Uint8Array;
}

/** A point in time that no `Date` can hold. */
export class Timestamp {
  constructor(seconds: number | bigint, nanoseconds?: number);
  readonly seconds: number | bigint;
  readonly nanoseconds: number;
  toDate(): Date;
}

export function encode(value: unknown): Uint8Array;
export function decode(bytes: Uint8Array, options?: { bigints?: 'auto' | 'bigint' | 'number' }): unknown;
/** A vector that was read back as bytes. */
export function vectorFromBytes(bytes: Uint8Array): Float32Array;

export interface Address {
  hosts: { host: string; port: number }[];
  username: string | null;
  password: string | null;
  database: string | null;
  tls: boolean;
  options: Record<string, string | number | boolean>;
  warnings: string[];
}

export function parseAddress(address: string): Address;

// -------------------------------------------------------------------------------------------------------------------- errors

export class NexaError extends Error {
  readonly code: string;
  /** `none`: certainly nothing was done. `unknown`: a write may or may not have happened. */
  readonly outcome: 'none' | 'unknown';
  readonly cause?: unknown;
}
export class ConnectionError extends NexaError {}
export class ProtocolError extends ConnectionError {}
export class UnknownOutcomeError extends NexaError { readonly timeout: boolean }
export class TimeoutError extends NexaError { readonly timeout: true }
export class CancelledError extends NexaError {}
export class QueueFullError extends NexaError {}
export class ClosedError extends NexaError {}
export class ServerSelectionError extends NexaError { readonly hosts: HostDescription[] }
export class ValidationError extends NexaError { readonly details: Record<string, any> }
export class ConfigurationError extends NexaError {}
export class ServerError extends NexaError { readonly details: Record<string, any> }
export class AuthenticationError extends ServerError {}
export class PermissionError extends ServerError {}
export class ConflictError extends ServerError {}
export class NotLeaderError extends ServerError {}
export class StaleReadError extends ServerError {}
export class OverloadedError extends ServerError {}
export class ReadOnlyError extends ServerError {}
export class DuplicateKeyError extends ServerError { readonly id: string }
export class TooLargeError extends ServerError { readonly limit: number | undefined }
export class WriteConcernError extends ServerError {}
export class ChangeStreamError extends ServerError {}
export class BulkWriteError extends NexaError { readonly errors: BulkItemError[]; readonly result: BulkResult }
