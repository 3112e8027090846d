import NexaStorage
import NexaWire

/// Document operations of one thread: it owns the reader, the batch and the scratch memory that they reuse, so that steady
/// reads and writes allocate nothing. Not Sendable.
///
/// Every `bytes` argument is part of a request payload that was validated as MessagePack. What a call returns as bytes is valid
/// until the next call on the same worker.
package final class DocumentWorker {
    package let store: DocumentStore

    init(store: DocumentStore) { self.store = store }

    /// The collection of that name (an empty `database` means `default`). If there is none: nil, or with `create` it is made.
    package func collection(
        database: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer, create: Bool
    ) throws(DocumentError) -> Collection? {
        fatalError("not built yet")
    }

    /// Drops cached views, so that an idle thread keeps no memory of the engine alive.
    package func release() { fatalError("not built yet") }

    /// Stores a new document (the map `document`). DUPLICATE with `id` in its details if the key exists.
    package func create(
        _ collection: Collection, document: UnsafeRawBufferPointer, options: WriteOptions
    ) throws(DocumentError) -> WriteResult {
        fatalError("not built yet")
    }

    /// Merges the map `updates` into the document of `key`; nil if there is none and the options do not upsert.
    package func update(
        _ collection: Collection, key: UnsafeRawBufferPointer, updates: UnsafeRawBufferPointer, options: WriteOptions
    ) throws(DocumentError) -> WriteResult? {
        fatalError("not built yet")
    }

    /// Removes the document of `key` and answers the position of the delete; nil if there is none.
    package func delete(
        _ collection: Collection, key: UnsafeRawBufferPointer, options: WriteOptions
    ) throws(DocumentError) -> LSN? {
        fatalError("not built yet")
    }

    /// Runs a BATCH_WRITE as one record of the log.
    package func batch(_ request: BatchRequest) throws(DocumentError) -> BatchResult { fatalError("not built yet") }

    /// The document of `key` as of `lsn`; nil if there is none.
    package func read(
        _ collection: Collection, key: UnsafeRawBufferPointer, at lsn: LSN, mayBlock: Bool
    ) throws(DocumentError) -> DocumentView? {
        fatalError("not built yet")
    }

    /// Appends a MessagePack list with a document, or nil, for each text in the list `keys`; answers how many were found. On an
    /// error the output is as before.
    package func multiRead(
        _ collection: Collection, keys: UnsafeRawBufferPointer, at lsn: LSN, shape: DocumentShape, mayBlock: Bool,
        into output: OutputBytes
    ) throws(DocumentError) -> Int {
        fatalError("not built yet")
    }

    /// A cursor over the matches of `spec`. It may be stepped on any one thread at a time.
    package func makeQuery(_ collection: Collection, _ spec: QuerySpec) throws(DocumentError) -> QueryCursor {
        fatalError("not built yet")
    }

    /// A cursor that only counts: step it until `done`, then read `matchedCount`.
    package func makeCount(_ collection: Collection, _ spec: QuerySpec) throws(DocumentError) -> QueryCursor {
        fatalError("not built yet")
    }

    /// A search for the nearest vectors: step it until `done`, then read its results.
    package func makeVectorSearch(_ collection: Collection, _ spec: VectorSearchSpec) throws(DocumentError) -> VectorSearch {
        fatalError("not built yet")
    }

    /// A scan that counts documents and bytes of collections: step it until `done`, then read its totals.
    package func makeStatistics(_ collections: [Collection], atLeast: LSN, deadline: UInt64?) -> StatisticsScan {
        fatalError("not built yet")
    }
}
