import NexaWire
import Testing

struct RequestFieldsTests {
    /// Parses `payload` and hands the fields to `body` while the bytes live.
    func parse(
        _ payload: MessagePackValue, _ type: MessageType, acceptsCompact: Bool = false, _ body: (RequestFields) throws -> Void
    ) throws {
        let fields = RequestFields()
        try payload.encoded().withUnsafeBytes { raw in
            try fields.parse(raw, type: type, acceptsCompact: acceptsCompact)
            try body(fields)
        }
    }

    func value(_ fields: RequestFields, _ field: RequestField) throws -> MessagePackValue? {
        try fields.raw(field).map { try MessagePackValue(decoding: $0) }
    }

    @Test func knowsEveryFieldByItsName() throws {
        for field in RequestField.allCases {
            try parse(.map([.init("unrelated", 1), .init("\(field.name)", 7)]), .create) { (fields) throws in
                for other in RequestField.allCases {
                    #expect(fields.has(other) == (other == field), "\(field.name) gave \(other.name)")
                }
                #expect(try fields.int(field) == 7)
            }
        }
    }

    @Test(arguments: [
        ("document_id", RequestField.key), ("id", .key), ("_id", .key), ("query", .filters), ("filter", .filters),
        ("query_vector", .vector),
        ("top_k", .limit), ("k", .limit), ("document", .data), ("offset", .skip),
    ])
    func acceptsWhatExistingClientsCallIt(_ name: String, _ field: RequestField) throws {
        try parse(.map([.init(name, 5)]), .query) { (fields) throws in #expect(try fields.int(field) == 5) }
        // The documented name wins, whichever comes first.
        let canonical = MessagePackValue.Entry("\(field.name)", 1)
        for entries in [[canonical, .init(name, 2)], [.init(name, 2), canonical]] {
            try parse(.map(entries), .query) { (fields) throws in #expect(try fields.int(field) == 1) }
        }
    }

    @Test func takesDataForUpdatesOfAnUpdateOnly() throws {
        try parse(["key": "k", "data": ["a": 1]], .update) { (fields) throws in #expect(try value(fields, .updates) == ["a": 1]) }
        try parse(["key": "k", "data": ["a": 1], "updates": ["b": 2]], .update) { (fields) throws in
            #expect(try value(fields, .updates) == ["b": 2])
        }
        try parse(["data": ["a": 1]], .create) { (fields) throws in #expect(!fields.has(.updates)) }
    }

    @Test func nilCountsAsAbsent() throws {
        try parse(["database": nil, "limit": nil], .query) { (fields) throws in
            #expect(fields.has(.database))
            #expect(fields.raw(.database) == nil)
            #expect(try fields.int(.limit) == nil)
            #expect(try fields.string(.database) == nil)
        }
    }

    @Test func anEmptyPayloadIsAnEmptyMap() throws {
        let fields = RequestFields()
        try fields.parse(UnsafeRawBufferPointer(start: nil, count: 0), type: .ping, acceptsCompact: false)
        #expect(RequestField.allCases.allSatisfy { !fields.has($0) })
    }

    @Test func forgetsTheRequestBefore() throws {
        let fields = RequestFields()
        try MessagePackValue(dictionaryLiteral: ("key", "k")).encoded().withUnsafeBytes { raw in
            try fields.parse(raw, type: .read, acceptsCompact: false)
            #expect(fields.has(.key))
            try fields.parse(UnsafeRawBufferPointer(start: nil, count: 0), type: .read, acceptsCompact: false)
            #expect(!fields.has(.key))
        }
    }

    @Test func refusesPayloadsThatAreNoMap() {
        for payload in [nil, 5, "text", [1, 2]] as [MessagePackValue] {
            #expect(throws: WireError.self) { try parse(payload, .create) { _ in } }
        }
    }

    @Test func namesTheFieldThatHasTheWrongType() throws {
        try parse(["limit": "ten", "collection": 5, "upsert": 1, "filters": [1], "documents": "x", "timeout_ms": 1e30], .query) {
            (fields) throws in
            for (name, body) in [
                ("limit", { _ = try fields.int(.limit) }), ("collection", { _ = try fields.string(.collection) }),
                ("upsert", { _ = try fields.bool(.upsert) }), ("filters", { _ = try fields.map(.filters) }),
                ("documents", { _ = try fields.array(.documents) }), ("timeout_ms", { _ = try fields.int(.timeoutMilliseconds) }),
            ] as [(String, () throws -> Void)] {
                do {
                    try body()
                    Issue.record("\(name) accepted")
                } catch let error as WireError {
                    #expect(error.code == .badRequest)
                    #expect(error.message.hasPrefix("'\(name)' must be"))
                    #expect(error.details.first == .init("field", .string(name)))
                }
            }
        }
    }

    // MARK: Compact form

    @Test func readsTheCompactForms() throws {
        let rows: [(MessageType, MessagePackValue, [(RequestField, MessagePackValue)])] = [
            (.create, [3, ["a": 1]], [(.collection, 3), (.data, ["a": 1])]),
            (.read, ["users", "k"], [(.collection, "users"), (.key, "k")]),
            (.update, [3, "k", ["a": 2], ["upsert": true]], [(.key, "k"), (.updates, ["a": 2]), (.upsert, true)]),
            (.delete, [3, "k", ["if_match": 9]], [(.key, "k"), (.ifMatch, 9)]),
            (.query, [3, ["a": 1], ["limit": 5]], [(.filters, ["a": 1]), (.limit, 5)]),
            (.vectorSearch, [3, [0.5], 7, ["metric": "l2"]], [(.vector, [0.5]), (.limit, 7), (.metric, "l2")]),
            (.batchWrite, [3, [["a": 1]], nil], [(.documents, [["a": 1]])]),
            (.create, [3], [(.collection, 3)]),
        ]
        for (type, payload, expected) in rows {
            try parse(payload, type, acceptsCompact: true) { (fields) throws in
                for (field, wanted) in expected { #expect(try value(fields, field) == wanted, "\(type.name) \(field.name)") }
                if payload[0] == 3 { #expect(fields.collectionHandle == 3) } else { #expect(fields.collectionHandle == nil) }
            }
        }
    }

    @Test func aPositionWinsOverTheSameNameInTheOptions() throws {
        try parse([3, "k", ["key": "other", "collection": "x"]], .read, acceptsCompact: true) { (fields) throws in
            #expect(try value(fields, .key) == "k")
            #expect(fields.collectionHandle == 3)
        }
    }

    @Test func refusesCompactFormsThatDoNotExist() {
        for (type, payload) in [
            (.create, []), (.create, [3, [:], [:], 1]), (.create, [3, [:], 5]), (.ping, [1]), (.connect, [1, 2]),
        ] as [(MessageType, MessagePackValue)] {
            #expect(throws: WireError.self) { try parse(payload, type, acceptsCompact: true) { _ in } }
        }
    }
}
