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
    private let following: ObserverToken

    /// Reads the catalog of `engine`.
    package init(engine: Engine, clock: WallClock = .system) throws(DocumentError) {
        self.engine = engine
        self.clock = clock
        let catalog = try Catalog(engine: engine, clock: clock)
        self.catalog = catalog
        following = engine.addCatalogObserver { [weak catalog] lsn, payload in catalog?.follow(payload, lsn: lsn) }
        ids = DocumentIDGenerator(clock: clock)
    }

    deinit { engine.removeCatalogObserver(following) }

    /// A worker for one thread.
    package func makeWorker() -> DocumentWorker { DocumentWorker(store: self) }
}
