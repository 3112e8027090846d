// VERIFY: an administrator asks several nodes what they hold at one LSN, in hashes. Each answers on its own connection, in this order:
//
//     pinned (lsn, epoch, chain)      the LSN is held: whatever is written from now on does not matter
//     hashing (entries, bytes)...     still at work; about once a second
//     collections [...]...            what has been read to the end
//     done (entries, bytes)           or, at any time, failed (reason, again)
//
// Nothing here touches the state of replication: the core never sees these messages.

import NexaStorage
import NexaWire

/// 6C VERIFY: hash what you hold at `lsn`, or at what you show now.
package struct Verify: Hashable, Sendable {
    package static let waitMax: Microseconds = 600_000_000

    /// nil: the node chooses, and says in `pinned` which.
    package var lsn: LSN?
    /// How long the node may wait until it shows that LSN.
    package var wait: Microseconds

    package init(lsn: LSN?, wait: Microseconds) {
        self.lsn = lsn
        self.wait = wait
    }

    package var value: MessagePackValue { .fields([("lsn", lsn.map { .number($0) }), ("wait_us", .number(wait))]) }

    init(_ fields: ControlFields) throws(MessageError) {
        lsn = try fields.optionalUInt("lsn")
        wait = min(try fields.uint("wait_us", default: 10_000_000), Verify.waitMax)
    }
}

/// EC VERIFY_PROGRESS, node -> administrator.
package struct VerifyReply: Hashable, Sendable {
    package enum State: String, Sendable { case pinned, hashing, collections, done, failed }

    package struct Collection: Hashable, Sendable {
        package var id: UInt64
        package var database: String
        package var name: String
        package var hash: ContentHash

        package init(id: UInt64, database: String, name: String, hash: ContentHash) {
            self.id = id
            self.database = database
            self.name = name
            self.hash = hash
        }
    }

    package static let collectionCountMax = 256

    package var state: State
    package var lsn: LSN
    /// The leadership that the record at `lsn` is of.
    package var epoch: Epoch
    /// The chain of the log at `lsn`, where the log still has it.
    package var chain: UInt64?
    package var entryCount: UInt64
    package var byteCount: UInt64
    package var collections: [Collection]
    package var reason: String
    /// Another LSN may do.
    package var mayTryAgain: Bool

    package init(
        _ state: State, lsn: LSN, epoch: Epoch = 0, chain: UInt64? = nil, entryCount: UInt64 = 0, byteCount: UInt64 = 0,
        collections: [Collection] = [], reason: String = "", mayTryAgain: Bool = false
    ) {
        self.state = state
        self.lsn = lsn
        self.epoch = epoch
        self.chain = chain
        self.entryCount = entryCount
        self.byteCount = byteCount
        self.collections = collections
        self.reason = reason
        self.mayTryAgain = mayTryAgain
    }

    var value: MessagePackValue {
        .fields([
            ("state", .string(state.rawValue)), ("lsn", .number(lsn)), ("epoch", .number(epoch)),
            ("chain", chain.map { .number($0) }), ("entries", .number(entryCount)), ("bytes", .number(byteCount)),
            ("collections", .array(collections.map(\.value))), ("reason", .string(reason)), ("again", .bool(mayTryAgain)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        guard let state = State(rawValue: try fields.text("state")) else { throw .badField("state") }
        self.state = state
        lsn = try fields.uint("lsn")
        epoch = try fields.uint("epoch", default: 0)
        chain = try fields.optionalUInt("chain")
        entryCount = try fields.uint("entries", default: 0)
        byteCount = try fields.uint("bytes", default: 0)
        collections = []
        for element in try fields.array("collections", countMax: VerifyReply.collectionCountMax) {
            collections.append(try Collection(ControlFields(element, in: "collections")))
        }
        reason = try fields.optionalText("reason", byteCountMax: 1024) ?? ""
        mayTryAgain = try fields.flag("again")
    }

    /// The payload of a frame, for whoever is no node.
    package init(payload: MessagePackValue) throws(MessageError) { try self.init(ControlFields(payload, in: "payload")) }
}

extension VerifyReply.Collection {
    var value: MessagePackValue {
        .fields([
            ("id", .number(id)), ("database", .string(database)), ("name", .string(name)), ("entries", .number(hash.entryCount)),
            ("sum", .number(hash.sum)), ("xor", .number(hash.exclusiveOr)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        id = try fields.uint("id")
        database = try fields.text("database")
        name = try fields.text("name")
        hash = ContentHash()
        hash.entryCount = try fields.uint("entries")
        hash.sum = try fields.uint("sum")
        hash.exclusiveOr = try fields.uint("xor")
    }
}
