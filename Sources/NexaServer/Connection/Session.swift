/// What a connection has agreed on: the shape of its answers, the features it may use, the handles it was given.
///
/// A value: work that leaves the event loop takes a copy with it.

import NexaDocuments

/// How results look (docs/protocol.md, "Two dialects, one server").
package enum Dialect: String, Sendable {
    /// The result itself: the document, the list of documents.
    case plain
    /// A map that names database and collection and holds the result.
    case envelope
}

/// What CONNECT negotiated.
package struct Features: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let requestID = Features(rawValue: 1)
    package static let token = Features(rawValue: 2)
    package static let lz4 = Features(rawValue: 4)
    package static let stream = Features(rawValue: 8)
    package static let compact = Features(rawValue: 16)
    package static let duplicate = Features(rawValue: 32)
    package static let opID = Features(rawValue: 64)

    /// All that this node knows, by the names of the protocol.
    package static let names: [(name: StaticString, feature: Features)] = [
        ("request_id", .requestID), ("token", .token), ("lz4", .lz4), ("stream", .stream), ("compact", .compact),
        ("duplicate", .duplicate), ("op_id", .opID),
    ]
}

/// A database and collection behind a handle that BIND gave.
package struct BoundCollection: Sendable {
    package var database: [UInt8]
    package var name: [UInt8]
}

package struct Session: Sendable {
    package var dialect = Dialect.plain
    package var features: Features = []
    /// The database of requests that name none; empty: `default`.
    package var database: [UInt8] = []
    package var username = ""
    /// Who has logged in; nil before, and where nobody has to.
    package var principal: Principal?
    /// The state of the accounts (`Catalog.usersVersion`) that the two fields here were last compared with; 0: never.
    package var usersVersion: UInt64 = 0
    /// Everything is allowed: an admin, or a node that asks for no log-in.
    package var isUnlimited = false
    /// Handles are places in this list.
    package var bound: [BoundCollection] = []

    /// The most handles of one connection.
    package static let boundCountMax = 1_024

    package init() {}

    /// Whether an existing key is answered with a DUPLICATE frame; existing clients cannot read it.
    package var takesDuplicateFrames: Bool { dialect == .plain || features.contains(.duplicate) }

    /// How documents leave in this dialect.
    package var shape: DocumentShape { dialect == .plain ? .plain : .envelope }
}
