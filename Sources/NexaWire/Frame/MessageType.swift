// The second-but-next byte of every frame. Requests are 01...7F, answers 81...FF; the bytes of the first two groups are fixed by the
// original plan and by the clients that people already have, the others are ours. 50 and 51 are taken elsewhere: never reuse them.

/// The type byte of a NEXA frame.
package enum MessageType: UInt8, Sendable, CaseIterable {
    // The original plan.
    case connect = 0x01
    case create = 0x02
    case read = 0x03
    case update = 0x04
    case delete = 0x05
    case query = 0x06
    case vectorSearch = 0x07
    case batchWrite = 0x08
    case ping = 0x09
    case disconnect = 0x0A

    // In use by existing clients.
    case queryToon = 0x0B
    case exportToon = 0x0C
    case importToon = 0x0D
    case createUser = 0x0E
    case deleteUser = 0x0F
    case listUsers = 0x10
    case changePassword = 0x11
    case listCollections = 0x20
    case dropCollection = 0x21
    case collectionStats = 0x22
    case getVectors = 0x23
    case subscribeChanges = 0x30
    case unsubscribeChanges = 0x31
    case listDatabases = 0x40
    case createDatabase = 0x41
    case dropDatabase = 0x42
    case getDatabaseStats = 0x43
    case createCollection = 0x44
    case buildHNSWIndex = 0x45

    // Ours.
    case alterUser = 0x12
    case createIndex = 0x24
    case dropIndex = 0x25
    case listIndexes = 0x26
    case count = 0x27
    case aggregate = 0x28
    case explain = 0x29
    case multiRead = 0x2A
    case cancel = 0x2B
    case status = 0x2C
    case cursorCredit = 0x2D
    case bind = 0x2E

    // Replication, between nodes: docs/replication.md.
    case replHello = 0x60
    case snapshotBegin = 0x61
    case snapshotGet = 0x62
    case snapshotDone = 0x63
    case streamStartAt = 0x64
    case replAck = 0x65
    case readIndex = 0x66
    case fence = 0x68
    case promote = 0x69
    case promoted = 0x6A
    case switchover = 0x6B
    case verify = 0x6C
    case nodeStatus = 0x6D
    case slotAdmin = 0x6E
    case replStop = 0x6F
    case replWelcome = 0xE0
    case snapshotManifest = 0xE1
    case snapshotChunk = 0xE2
    case walBatch = 0xE4
    case heartbeat = 0xE5
    case readIndexReply = 0xE6
    case topology = 0xE7
    case fenced = 0xE8
    case switchoverProgress = 0xEB
    case verifyProgress = 0xEC
    case nodeStatusReply = 0xED
    case slotAdminReply = 0xEE

    // Answers.
    case success = 0x81
    case error = 0x82
    case notFound = 0x83
    case duplicate = 0x84
    case streamStart = 0x85
    case streamChunk = 0x86
    case streamEnd = 0x87
    case pong = 0x88
    case changeEvent = 0x90

    /// Whether a client may send it.
    package var isRequest: Bool { rawValue < 0x80 }

    /// The name as docs/protocol.md spells it: for error texts, logs and metric labels.
    package var name: String {
        switch self {
        case .connect: "CONNECT"
        case .create: "CREATE"
        case .read: "READ"
        case .update: "UPDATE"
        case .delete: "DELETE"
        case .query: "QUERY"
        case .vectorSearch: "VECTOR_SEARCH"
        case .batchWrite: "BATCH_WRITE"
        case .ping: "PING"
        case .disconnect: "DISCONNECT"
        case .queryToon: "QUERY_TOON"
        case .exportToon: "EXPORT_TOON"
        case .importToon: "IMPORT_TOON"
        case .createUser: "CREATE_USER"
        case .deleteUser: "DELETE_USER"
        case .listUsers: "LIST_USERS"
        case .changePassword: "CHANGE_PASSWORD"
        case .alterUser: "ALTER_USER"
        case .listCollections: "LIST_COLLECTIONS"
        case .dropCollection: "DROP_COLLECTION"
        case .collectionStats: "COLLECTION_STATS"
        case .getVectors: "GET_VECTORS"
        case .subscribeChanges: "SUBSCRIBE_CHANGES"
        case .unsubscribeChanges: "UNSUBSCRIBE_CHANGES"
        case .listDatabases: "LIST_DATABASES"
        case .createDatabase: "CREATE_DATABASE"
        case .dropDatabase: "DROP_DATABASE"
        case .getDatabaseStats: "GET_DATABASE_STATS"
        case .createCollection: "CREATE_COLLECTION"
        case .buildHNSWIndex: "BUILD_HNSW_INDEX"
        case .createIndex: "CREATE_INDEX"
        case .dropIndex: "DROP_INDEX"
        case .listIndexes: "LIST_INDEXES"
        case .count: "COUNT"
        case .aggregate: "AGGREGATE"
        case .explain: "EXPLAIN"
        case .multiRead: "MULTI_READ"
        case .cancel: "CANCEL"
        case .status: "STATUS"
        case .cursorCredit: "CURSOR_CREDIT"
        case .bind: "BIND"
        case .replHello: "REPL_HELLO"
        case .snapshotBegin: "SNAPSHOT_BEGIN"
        case .snapshotGet: "SNAPSHOT_GET"
        case .snapshotDone: "SNAPSHOT_DONE"
        case .streamStartAt: "STREAM_START_AT"
        case .replAck: "REPL_ACK"
        case .readIndex: "READ_INDEX"
        case .fence: "FENCE"
        case .promote: "PROMOTE"
        case .promoted: "PROMOTED"
        case .switchover: "SWITCHOVER"
        case .verify: "VERIFY"
        case .nodeStatus: "NODE_STATUS"
        case .slotAdmin: "SLOT_ADMIN"
        case .replStop: "REPL_STOP"
        case .replWelcome: "REPL_WELCOME"
        case .snapshotManifest: "SNAPSHOT_MANIFEST"
        case .snapshotChunk: "SNAPSHOT_CHUNK"
        case .walBatch: "WAL_BATCH"
        case .heartbeat: "HEARTBEAT"
        case .readIndexReply: "READ_INDEX_REPLY"
        case .topology: "TOPOLOGY"
        case .fenced: "FENCED"
        case .switchoverProgress: "SWITCHOVER_PROGRESS"
        case .verifyProgress: "VERIFY_PROGRESS"
        case .nodeStatusReply: "NODE_STATUS_REPLY"
        case .slotAdminReply: "SLOT_ADMIN_REPLY"
        case .success: "SUCCESS"
        case .error: "ERROR"
        case .notFound: "NOT_FOUND"
        case .duplicate: "DUPLICATE"
        case .streamStart: "STREAM_START"
        case .streamChunk: "STREAM_CHUNK"
        case .streamEnd: "STREAM_END"
        case .pong: "PONG"
        case .changeEvent: "CHANGE_EVENT"
        }
    }
}
