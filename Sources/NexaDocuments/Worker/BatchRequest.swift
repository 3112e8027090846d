import NexaStorage
import NexaWire

/// A BATCH_WRITE: bytes of the request, already validated as MessagePack.
package struct BatchRequest {
    package enum Items {
        /// A list of documents, each to be created.
        case documents(UnsafeRawBufferPointer)
        /// A list of maps `{op: "create" | "put" | "update" | "delete", collection?, data | key | updates ...}`.
        case operations(UnsafeRawBufferPointer)

        var bytes: UnsafeRawBufferPointer {
            switch self {
            case .documents(let bytes), .operations(let bytes): bytes
            }
        }
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
    /// The client's name for the batch, if it may be sent again.
    package var operation: OperationID?

    package init(items: Items, database: UnsafeRawBufferPointer, collection: Collection?) {
        self.items = items
        self.database = database
        self.collection = collection
    }

    /// See `Collection.nameHash`; without a collection that of the database.
    var nameHash: UInt64 {
        collection?.nameHash
            ?? Collection.nameHash(database: database.count == 0 ? CatalogView.defaultDatabase : database.text, name: "")
    }
}
