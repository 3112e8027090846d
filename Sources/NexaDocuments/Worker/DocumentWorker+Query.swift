import NexaStorage
import NexaWire

/// QUERY, COUNT, VECTOR_SEARCH and statistics: each makes a cursor that any thread can step.
extension DocumentWorker {
    /// A cursor over the matches of `spec`. It may be stepped on any one thread at a time.
    package func makeQuery(_ collection: Collection, _ spec: QuerySpec) throws(DocumentError) -> QueryCursor {
        try QueryCursor(engine, collection, spec)
    }

    /// A cursor that only counts: step it until `done`, then read `matchedCount`.
    package func makeCount(_ collection: Collection, _ spec: QuerySpec) throws(DocumentError) -> QueryCursor {
        var spec = spec
        spec.limit = 0
        return try makeQuery(collection, spec)
    }

    /// A search for the nearest vectors: step it until `done`, then read its results.
    package func makeVectorSearch(_ collection: Collection, _ spec: VectorSearchSpec) throws(DocumentError) -> VectorSearch {
        try VectorSearch(engine, collection, spec)
    }

    /// A scan that counts documents and bytes of collections: step it until `done`, then read its totals.
    package func makeStatistics(_ collections: [Collection], atLeast: LSN, deadline: UInt64?) -> StatisticsScan {
        StatisticsScan(engine, collections, atLeast: atLeast, deadline: deadline)
    }
}
