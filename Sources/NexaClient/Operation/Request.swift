import NexaWire

/// One request before it has met a connection: what it asks for, without what depends on the attempt (time left, position, operation id).
///
/// `collection` and `key` stay text and are written straight into the connection's output; all else is in `fields`, encoded once, so
/// that a retry costs a copy. A point read holds no `fields` and allocates nothing.
package struct Request: Sendable {
    package let type: MessageType
    package let isWrite: Bool
    package var database: String?
    package var collection: String?
    package var key: String?
    /// Entries of the payload, encoded: name, value, name, value.
    package private(set) var fields: [UInt8] = []
    package private(set) var fieldCount = 0

    package init(
        _ type: MessageType, isWrite: Bool = false, database: String? = nil, collection: String? = nil, key: String? = nil
    ) {
        self.type = type
        self.isWrite = isWrite
        self.database = database
        self.collection = collection
        self.key = key
    }

    /// Adds the entries that `body` writes, and answers how many they are.
    package mutating func add<E: Error>(_ body: (OutputBytes) throws(E) -> Int) throws(E) {
        let output = OutputBytes(capacity: 512)
        output.append(fields)
        fieldCount += try body(output)
        fields = [UInt8](output.bytes)
    }

    package mutating func add(_ name: StaticString, _ value: DocumentValue?) {
        guard let value else { return }
        add { output in
            output.writeString(name)
            value.encode(into: output)
            return 1
        }
    }
}

/// What one attempt adds to a request.
package struct Attempt: Sendable {
    /// What is left of the budget; 0: no limit.
    package var timeoutMilliseconds: Int = 0
    /// The position that a read has to see at least.
    package var after: PositionToken?
    package var operationID: OperationID?
    /// Asks for the position of the answer.
    package var wantsToken = false

    package init() {}
}

/// Options of the client that every read, or every write, carries: encoded once.
package struct StandingFields: Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0

    package static func reads(_ configuration: ClientConfiguration) -> StandingFields {
        var fields = StandingFields()
        fields.add("read_concern", configuration.readConcern.map { .string($0.rawValue) })
        fields.add("max_staleness_ms", configuration.staleness.map { .int($0.milliseconds) })
        return fields
    }

    package static func writes(_ configuration: ClientConfiguration) -> StandingFields {
        var fields = StandingFields()
        switch configuration.writeConcern {
        case .nodes(let count): fields.add("w", .int(Int64(count)))
        case .majority: fields.add("w", "majority")
        case nil: break
        }
        fields.add("wtimeout_ms", configuration.writeConcernTimeout.map { .int($0.milliseconds) })
        fields.add("durability", configuration.durability.map { .string($0.rawValue) })
        return fields
    }

    private mutating func add(_ name: StaticString, _ value: DocumentValue?) {
        guard let value else { return }
        let output = OutputBytes()
        output.append(bytes)
        output.writeString(name)
        value.encode(into: output)
        bytes = [UInt8](output.bytes)
        count += 1
    }
}

extension Request {
    /// Writes the payload: what is asked for, then what the attempt adds. No allocation beyond growth of the output.
    package func writePayload(_ attempt: Attempt, _ standing: StandingFields, into output: OutputBytes) {
        var count = fieldCount + standing.count
        if database != nil { count += 1 }
        if collection != nil { count += 1 }
        if key != nil { count += 1 }
        if attempt.timeoutMilliseconds > 0 { count += 1 }
        if attempt.after != nil { count += 1 }
        if attempt.operationID != nil { count += 1 }
        output.writeMapHeader(count)
        if let database {
            output.writeString("database")
            output.writeString(database)
        }
        if let collection {
            output.writeString("collection")
            output.writeString(collection)
        }
        if let key {
            output.writeString("key")
            output.writeString(key)
        }
        output.append(fields)
        output.append(standing.bytes)
        if attempt.timeoutMilliseconds > 0 {
            output.writeString("timeout_ms")
            output.writeInt(attempt.timeoutMilliseconds)
        }
        if let after = attempt.after {
            output.writeString("after")
            output.writeArrayHeader(2)
            output.writeUInt(after.epoch)
            output.writeUInt(after.lsn)
        }
        if let operationID = attempt.operationID {
            output.writeString("op_id")
            operationID.write(into: output)
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up, so that a positive duration never becomes none.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1000 &+ (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
