/// What every read and every write may say of itself by headers, as fields of the request to the node. The node checks their values; here
/// only their form is read.

import CSupport
import HTTPTypes
import HummingbirdCore
import NexaServer
import NexaWire

extension NodeRequest {
    /// Database and collection.
    mutating func add(_ target: Target, _ exchange: Exchange) {
        add("database", optional: target.database ?? exchange.database)
        add("collection", target.collection)
    }

    /// Where a read reads, and how long it may take.
    mutating func addReadOptions(_ exchange: Exchange) throws(Problem) {
        let fields = exchange.request.headers
        if let token = fields[.nexaAfter] {
            guard let position = PositionToken(text: token) else {
                throw Self.bad(.nexaAfter, "is EPOCH:LSN, as X-Nexa-Token tells it")
            }
            add("after") { output in
                output.writeArrayHeader(2)
                output.writeUInt(position.epoch)
                output.writeUInt(position.lsn)
            }
        }
        add("read_concern", optional: fields[.nexaReadConcern])
        try add("max_staleness_ms", .nexaMaxStaleness, fields)
        try add("wait_ms", .nexaWait, fields)
        try add("timeout_ms", .nexaTimeout, fields)
    }

    /// What a write's answer waits for, and its name if it may be repeated.
    /// `part` counts the writes that one HTTP request becomes.
    mutating func addWriteOptions(_ exchange: Exchange, isRepeatable: Bool = true, part: Int = 0) throws(Problem) {
        let fields = exchange.request.headers
        if let text = fields[.nexaWriteConcern] {
            if let count = Int(text) { add("w", count) } else { add("w", text) }
        }
        try add("wtimeout_ms", .nexaWriteTimeout, fields)
        add("durability", optional: fields[.nexaDurability])
        if isRepeatable, let key = fields[.idempotencyKey] {
            add("op_id", binary: try Self.operationID(key, exchange, part: part))
        }
    }

    private mutating func add(_ field: StaticString, _ name: HTTPField.Name, _ fields: HTTPFields) throws(Problem) {
        guard let text = fields[name] else { return }
        guard let number = Int(text), number >= 0 else { throw Self.bad(name, "is a whole number of milliseconds") }
        add(field, number)
    }

    /// The 24 bytes that name a write: a digest of the key, of who uses it and for what, so that the same request is the same write on any
    /// connection and any node, and nobody gets the answer to what somebody else did under that key.
    private static func operationID(_ key: String, _ exchange: Exchange, part: Int) throws(Problem) -> [UInt8] {
        guard (1...255).contains(key.utf8.count) else { throw bad(.idempotencyKey, "has 1 to 255 bytes") }
        let id = OutputBytes(capacity: 64)
        var name = [
            exchange.identity.name, exchange.method.rawValue, exchange.database ?? "", exchange.request.head.path ?? "", key,
        ].joined(separator: "\0")
        name.withUTF8 { bytes in
            for seed in UInt64(1)...3 { id.appendBE(nexa_xxh3(bytes.baseAddress, bytes.count, seed &+ UInt64(part) << 8)) }
        }
        return Array(id.bytes)
    }

    private static func bad(_ name: HTTPField.Name, _ what: String) -> Problem {
        Problem(.badRequest, "The header \(name.rawName) \(what)", details: [.init("header", .string(name.rawName))])
    }
}

extension PositionToken {
    /// `EPOCH:LSN`.
    init?(text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let epoch = UInt64(parts[0]), let lsn = UInt64(parts[1]) else { return nil }
        self.init(epoch: epoch, lsn: lsn)
    }

    var text: String { "\(epoch):\(lsn)" }
}
