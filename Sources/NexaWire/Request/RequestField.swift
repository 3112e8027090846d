// The names that a request's map may have at its top level, and how a name's bytes become a field: a switch over length and first byte
// leaves at most a few candidates, one comparison decides. No String is made.

/// A known field of a request. Synonyms that existing clients use stand for the same field.
package enum RequestField: UInt8, Sendable, CaseIterable {
    // What is addressed.
    case collection, database, key, keys, name
    // What is written.
    case data, updates, documents, operations, upsert, ifMatch, atomic, ordered, returning
    // What is asked for.
    case filters, projection, sort, limit, skip, stream, batchSize, hint, rev, includeVector
    case vector, field, metric, ef, exact, dimensions
    // How.
    case timeoutMilliseconds, opID, durability, writeConcern, writeTimeoutMilliseconds
    case after, maxStalenessMilliseconds, waitMilliseconds, readConcern
    // CONNECT.
    case client, version, username, password, token, apiKey, dialect, features, purpose
    // Streams.
    case credit, requestID
    // Change streams.
    case subscription, resumeAfter, heartbeatMilliseconds
    // Riding on other types (existing clients).
    case createDatabase, dropDatabase, getDatabaseStats

    /// The name as docs/protocol.md spells it: for error texts.
    package var name: StaticString {
        switch self {
        case .collection: "collection"
        case .database: "database"
        case .key: "key"
        case .keys: "keys"
        case .name: "name"
        case .data: "data"
        case .updates: "updates"
        case .documents: "documents"
        case .operations: "operations"
        case .upsert: "upsert"
        case .ifMatch: "if_match"
        case .atomic: "atomic"
        case .ordered: "ordered"
        case .returning: "return"
        case .filters: "filters"
        case .projection: "projection"
        case .sort: "sort"
        case .limit: "limit"
        case .skip: "skip"
        case .stream: "stream"
        case .batchSize: "batch_size"
        case .hint: "hint"
        case .rev: "rev"
        case .includeVector: "include_vector"
        case .vector: "vector"
        case .field: "field"
        case .metric: "metric"
        case .ef: "ef"
        case .exact: "exact"
        case .dimensions: "dimensions"
        case .timeoutMilliseconds: "timeout_ms"
        case .opID: "op_id"
        case .durability: "durability"
        case .writeConcern: "w"
        case .writeTimeoutMilliseconds: "wtimeout_ms"
        case .after: "after"
        case .maxStalenessMilliseconds: "max_staleness_ms"
        case .waitMilliseconds: "wait_ms"
        case .readConcern: "read_concern"
        case .client: "client"
        case .version: "version"
        case .username: "username"
        case .password: "password"
        case .token: "token"
        case .apiKey: "api_key"
        case .dialect: "dialect"
        case .features: "features"
        case .purpose: "purpose"
        case .credit: "credit"
        case .requestID: "request_id"
        case .subscription: "subscription"
        case .resumeAfter: "resume_after"
        case .heartbeatMilliseconds: "heartbeat_ms"
        case .createDatabase: "create_database"
        case .dropDatabase: "drop_database"
        case .getDatabaseStats: "get_database_stats"
        }
    }

    /// The field that `name` means, and whether it is the canonical name or a synonym; nil for an unknown name.
    @inline(__always)
    static func lookup(_ name: UnsafeRawBufferPointer) -> (field: RequestField, isSynonym: Bool)? {
        guard name.count > 0, name.count <= 18 else { return nil }
        let first = name[0]
        @inline(__always) func field(_ candidate: RequestField) -> (field: RequestField, isSynonym: Bool)? {
            isEqual(name, candidate.name) ? (candidate, false) : nil
        }
        @inline(__always) func synonym(_ text: StaticString, _ candidate: RequestField) -> (field: RequestField, isSynonym: Bool)?
        {
            isEqual(name, text) ? (candidate, true) : nil
        }
        switch (name.count, first) {
        case (1, 0x77): return field(.writeConcern)  // w
        case (1, 0x6B): return synonym("k", .limit)
        case (2, 0x69): return synonym("id", .key)
        case (2, 0x65): return field(.ef)
        case (3, 0x6B): return field(.key)
        case (3, 0x5F): return synonym("_id", .key)
        case (3, 0x72): return field(.rev)
        case (4, 0x64): return field(.data)
        case (4, 0x6B): return field(.keys)
        case (4, 0x6E): return field(.name)
        case (4, 0x73): return field(.sort) ?? field(.skip)
        case (4, 0x68): return field(.hint)
        case (5, 0x6C): return field(.limit)
        case (5, 0x66): return field(.field)
        case (5, 0x65): return field(.exact)
        case (5, 0x61): return field(.after)
        case (5, 0x74): return field(.token) ?? synonym("top_k", .limit)
        case (5, 0x6F): return field(.opID)
        case (5, 0x71): return synonym("query", .filters)
        case (6, 0x66): return synonym("filter", .filters)
        case (6, 0x76): return field(.vector)
        case (6, 0x75): return field(.upsert)
        case (6, 0x61): return field(.atomic)
        case (6, 0x6D): return field(.metric)
        case (6, 0x73): return field(.stream)
        case (6, 0x72): return field(.returning)
        case (6, 0x63): return field(.client) ?? field(.credit)
        case (6, 0x6F): return synonym("offset", .skip)
        case (7, 0x66): return field(.filters)
        case (7, 0x75): return field(.updates)
        case (7, 0x6F): return field(.ordered)
        case (7, 0x76): return field(.version)
        case (7, 0x64): return field(.dialect)
        case (7, 0x70): return field(.purpose)
        case (7, 0x61): return field(.apiKey)
        case (7, 0x77): return field(.waitMilliseconds)
        case (8, 0x64): return field(.database) ?? synonym("document", .data)
        case (8, 0x69): return field(.ifMatch)
        case (8, 0x75): return field(.username)
        case (8, 0x70): return field(.password)
        case (8, 0x66): return field(.features)
        case (9, 0x64): return field(.documents)
        case (10, 0x63): return field(.collection)
        case (10, 0x70): return field(.projection)
        case (10, 0x62): return field(.batchSize)
        case (10, 0x6F): return field(.operations)
        case (10, 0x64): return field(.dimensions) ?? field(.durability)
        case (10, 0x74): return field(.timeoutMilliseconds)
        case (10, 0x72): return field(.requestID)
        case (11, 0x64): return synonym("document_id", .key)
        case (11, 0x77): return field(.writeTimeoutMilliseconds)
        case (12, 0x72): return field(.readConcern) ?? field(.resumeAfter)
        case (12, 0x73): return field(.subscription)
        case (12, 0x68): return field(.heartbeatMilliseconds)
        case (12, 0x71): return synonym("query_vector", .vector)
        case (13, 0x64): return field(.dropDatabase)
        case (14, 0x69): return field(.includeVector)
        case (15, 0x63): return field(.createDatabase)
        case (16, 0x6D): return field(.maxStalenessMilliseconds)
        case (18, 0x67): return field(.getDatabaseStats)
        default: return nil
        }
    }

    @inline(__always)
    private static func isEqual(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        let other = text.utf8Start
        for index in 0..<bytes.count where bytes[index] != other[index] { return false }
        return true
    }
}
