import NexaStorage
import NexaWire

/// A BATCH_WRITE: bytes of the request, already validated as MessagePack.
package struct BatchRequest {
    package enum Items {
        /// A list of documents, each to be created.
        case documents(UnsafeRawBufferPointer)
        /// A list of maps `{op: "create" | "put" | "update" | "delete", collection?, data | key | updates ...}`.
        case operations(UnsafeRawBufferPointer)
    }

    /// The most items of one batch.
    package static let itemCountMax = 100_000

    package var items: Items
    /// The database of all items, and where operations name no collection of their own, their collection.
    package var database: UnsafeRawBufferPointer
    package var collection: Collection?
    /// All or nothing.
    package var isAtomic = true
    /// Not atomic only: stop at the first item that fails.
    package var isOrdered = true
    package var options = WriteOptions()

    package init(items: Items, database: UnsafeRawBufferPointer, collection: Collection?) {
        self.items = items
        self.database = database
        self.collection = collection
    }
}

/// Why one item of a batch that is not atomic was left out.
package struct BatchItemError: Sendable {
    /// Place in the request, from 0.
    package let index: Int
    package let error: DocumentError
}

/// What a batch did. Valid until the next call on the worker.
package struct BatchResult {
    /// The position of the whole batch: it is one record of the log.
    package let lsn: LSN
    /// Items that were written.
    package let count: Int
    /// Keys of the items that were written, in the order of the request.
    package let keys: BatchKeys
    /// Items that failed or, in an ordered batch, the one that stopped it.
    package let errors: [BatchItemError]
}

/// Keys of a batch in the worker's scratch memory.
package struct BatchKeys {
    /// The engine's keys.
    let bytes: UnsafeRawBufferPointer
    let ranges: ContiguousArray<Range<Int>>

    package var count: Int { ranges.count }

    package subscript(index: Int) -> UnsafeRawBufferPointer {
        DocumentWorker.documentKey(UnsafeRawBufferPointer(rebasing: bytes[ranges[index]]))
    }
}
