import NexaStorage
import NexaWire

/// Databases, collections and documents over one engine: the door that the server holds.
///
/// Shared by all threads; each thread makes itself a `DocumentWorker` for reads and writes.
package final class DocumentStore: Sendable {
    package let engine: Engine
    package let catalog: Catalog
    let ids: DocumentIDGenerator
    let clock: WallClock
    package let operations: OperationMemory
    private let following: ObserverToken

    /// Reads the catalog of `engine`.
    package init(
        engine: Engine, clock: WallClock = .system, operations options: OperationOptions = OperationOptions()
    ) throws(DocumentError) {
        self.engine = engine
        self.clock = clock
        let operations = try DocumentError.mapping { () throws(StorageError) in
            try OperationMemory(engine: engine, clock: clock, options: options)
        }
        self.operations = operations
        let catalog = try Catalog(engine: engine, clock: clock, operations: operations)
        self.catalog = catalog
        following = engine.addCatalogObserver { [weak catalog, weak operations] lsn, payload in
            catalog?.follow(payload, lsn: lsn)
            operations?.follow(payload)
        }
        ids = DocumentIDGenerator(clock: clock)
    }

    deinit { engine.removeCatalogObserver(following) }

    /// A worker for one thread.
    package func makeWorker() -> DocumentWorker { DocumentWorker(store: self) }
}
