/// CREATE, READ, UPDATE, DELETE and MULTI_READ: one key each (or a list of keys), answered from memory where the engine has it there.

import NexaDocuments
import NexaStorage
import NexaWire

extension Executor {
    func read(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        let lsn = try readPosition(call)
        let key = try requiredKey("Missing 'collection' or 'key' field")
        guard let collection = try collection(session, create: false, missing: "Missing 'collection' or 'key' field"),
            let document = try worker.read(collection, key: key, at: lsn, mayBlock: mayBlock)
        else {
            answerNotFound(call, lsn: lsn, output)
            return .answered(hold: 0, commitCount: 0)
        }
        let mark = begin(.success, call, lsn: lsn, output)
        if session.dialect == .plain {
            document.append(to: output, shape: try shape(session))
        } else {
            writeEnvelope(collection, fieldCount: 3, output)
            output.writeString("document")
            document.append(to: output, shape: try shape(session))
        }
        end(mark, session, output)
        return .answered(hold: 0, commitCount: 0)
    }

    func create(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        if fields.has(.createDatabase), try fields.flag(.createDatabase) == true {
            return try createDatabase(call, session, output)
        }
        try checkPressure()
        guard let data = try fields.mapBytes(.data) else {
            throw DocumentError(.badRequest, "Missing 'collection' or 'data' field", details: [.init("field", "data")])
        }
        try checkWriteConcern()
        let operation = try operation()
        guard
            let collection = try collection(
                session, create: true, for: operation, missing: "Missing 'collection' or 'data' field")
        else {
            throw DocumentError(.internal, "A collection that was just made is gone")
        }
        let options = try writeOptions(session)
        let result = try worker.create(collection, document: data, options: options, operation: operation)
        answerWrite(result, collection, "Document inserted", call, session, output)
        return .answered(hold: result.lsn, commitCount: 1)
    }

    func update(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        try checkPressure()
        let key = try requiredKey("Missing 'collection', 'key', or 'updates' field")
        guard let updates = try fields.mapBytes(.updates) else {
            throw DocumentError(
                .badRequest, "Missing 'collection', 'key', or 'updates' field", details: [.init("field", "updates")])
        }
        try checkWriteConcern()
        let options = try writeOptions(session)
        let operation = try operation()
        guard
            let collection = try collection(
                session, create: options.upserts, for: operation, missing: "Missing 'collection', 'key', or 'updates' field"),
            let result = try worker.update(collection, key: key, updates: updates, options: options, operation: operation)
        else {
            answerNotFound(call, lsn: engine.appliedLSN, output)
            return .answered(hold: engine.appliedLSN, commitCount: 0)
        }
        answerWrite(result, collection, "Document updated", call, session, output)
        return .answered(hold: result.lsn, commitCount: 1)
    }

    func delete(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        try checkPressure()
        let key = try requiredKey("Missing 'collection' or 'key' field")
        try checkWriteConcern()
        let options = try writeOptions(session)
        let operation = try operation()
        guard
            let collection = try collection(
                session, create: false, for: operation, missing: "Missing 'collection' or 'key' field"),
            let lsn = try worker.delete(collection, key: key, options: options, operation: operation)
        else {
            answerNotFound(call, lsn: engine.appliedLSN, output)
            return .answered(hold: engine.appliedLSN, commitCount: 0)
        }
        let mark = begin(.success, call, lsn: lsn, output)
        if try returnsID() {
            output.writeString(bytes: key)
        } else if session.dialect == .plain {
            output.writeMapHeader(2)
            output.writeString("id")
            output.writeString(bytes: key)
            output.writeString("deleted")
            output.writeBool(true)
        } else {
            writeEnvelope(collection, fieldCount: 4, output)
            writeDocumentID(key, message: "Document deleted", output)
        }
        end(mark, session, output)
        return .answered(hold: lsn, commitCount: 1)
    }

    func multiRead(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        let lsn = try readPosition(call)
        guard let keys = try RequestFields.reading({ () throws(WireError) in try fields.array(.keys) }) else {
            throw DocumentError(.badRequest, "Missing 'collection' or 'keys' field", details: [.init("field", "keys")])
        }
        var reader = MessagePackReader(keys)
        let keyCount = (try? reader.readArrayHeader()) ?? 0
        if !mayBlock && keyCount > Self.inlineItemCountMax { throw .wouldBlock }
        let found = try collection(session, create: false, missing: "Missing 'collection' or 'keys' field")
        let mark = begin(.success, call, lsn: lsn, output)
        if session.dialect == .envelope {
            output.writeMapHeader(4)
            writeNames(found, session, output)
            output.writeString("documents")
        }
        var foundCount = 0
        if let found {
            foundCount = try worker.multiRead(
                found, keys: keys, at: lsn, shape: try shape(session), mayBlock: mayBlock, into: output)
        } else {
            output.writeArrayHeader(keyCount)
            for _ in 0..<keyCount { output.writeNil() }
        }
        if session.dialect == .envelope {
            output.writeString("count")
            output.writeInt(foundCount)
        }
        try checkSize(mark, output)
        end(mark, session, output)
        return .answered(hold: 0, commitCount: 0)
    }

    /// More items than this do not run on an event loop.
    static let inlineItemCountMax = 64

    // MARK: Parts of requests

    /// The collection that the request names, by text or by handle; nil if there is none and `create` is false.
    func collection(
        _ session: Session, create: Bool, missing: StaticString
    ) throws(DocumentError) -> Collection? {
        if session.features.contains(.compact), let handle = fields.collectionHandle {
            guard handle < UInt64(session.bound.count) else {
                throw DocumentError(.badRequest, "No BIND gave the handle \(handle)", details: [.init("field", "collection")])
            }
            let bound = session.bound[Int(handle)]
            return try bound.database.span.withUnsafeBytes { database throws(DocumentError) in
                try bound.name.span.withUnsafeBytes { name throws(DocumentError) in
                    try findCollection(database, name, create: create)
                }
            }
        }
        guard let name = try fields.text(.collection), !name.isEmpty else {
            throw DocumentError(.badRequest, "\(missing)", details: [.init("field", "collection")])
        }
        if let database = try fields.text(.database), !database.isEmpty {
            return try findCollection(database, name, create: create)
        }
        return try session.database.span.withUnsafeBytes { database throws(DocumentError) in
            try findCollection(database, name, create: create)
        }
    }

    /// A collection is made in the work pool: that waits for a lock and may wait for memory.
    private func findCollection(_ database: Bytes, _ name: Bytes, create: Bool) throws(DocumentError) -> Collection? {
        if let known = worker.knownCollection(database: database, name: name) { return known }
        if !NameRules.isValidName(name) { throw Self.badName("collection") }
        if !database.isEmpty, !NameRules.isValidName(database) { throw Self.badName("database") }
        let found = try worker.collection(database: database, name: name, create: create && mayBlock)
        if found == nil && create && !mayBlock { throw .wouldBlock }
        return found
    }

    static func badName(_ what: StaticString) -> DocumentError {
        DocumentError(
            .badRequest,
            "A \(what) name has 1 to \(NameRules.nameByteCountMax) bytes: a letter or _, then letters, digits, _ . or -",
            details: [.init("field", .string("\(what)"))])
    }

    func requiredKey(_ missing: StaticString) throws(DocumentError) -> Bytes {
        guard let key = try fields.text(.key), !key.isEmpty else {
            throw DocumentError(.badRequest, "\(missing)", details: [.init("field", "key")])
        }
        guard key.count <= NameRules.keyByteCountMax else {
            throw DocumentError(
                .tooLarge, "A key has at most \(NameRules.keyByteCountMax) bytes",
                details: [.init("field", "key"), .init("limit", .int(Int64(NameRules.keyByteCountMax)))])
        }
        return key
    }

    func writeOptions(_ session: Session) throws(DocumentError) -> WriteOptions {
        var options = WriteOptions()
        options.durability = try fields.durability(default: node.configuration.durability)
        options.usesIDField = session.dialect == .plain
        options.mayBlock = mayBlock
        if fields.has(.upsert) { options.upserts = try fields.flag(.upsert) ?? false }
        if fields.has(.ifMatch) { options.ifMatch = try fields.count(.ifMatch).map { LSN($0) } }
        return options
    }

    /// How documents leave, by dialect and the request's wishes.
    func shape(_ session: Session) throws(DocumentError) -> DocumentShape {
        var shape = session.shape
        if fields.has(.rev), try fields.flag(.rev) == true { shape.insert(.addsRevision) }
        if fields.has(.includeVector), try fields.flag(.includeVector) == true { shape.remove(.dropsVector) }
        return shape
    }

    /// `return: "id"`: the answer of a write is the id alone.
    func returnsID() throws(DocumentError) -> Bool {
        guard fields.has(.returning), let text = try fields.text(.returning) else { return false }
        if text.isEqual(to: "id") { return true }
        if text.isEqual(to: "document") { return false }
        throw DocumentError(.badRequest, "'return' is \"id\" or \"document\"", details: [.init("field", "return")])
    }

    // MARK: Parts of answers

    private func answerWrite(
        _ result: WriteResult, _ collection: Collection, _ message: StaticString, _ call: Call, _ session: Session,
        _ output: OutputBytes
    ) {
        let mark = begin(.success, call, lsn: result.lsn, output)
        if (try? returnsID()) == true {
            output.writeString(bytes: result.document.key)
        } else if session.dialect == .plain {
            writeDocument(result, session, output)
        } else {
            writeEnvelope(collection, fieldCount: 4, output)
            writeDocumentID(result.document.key, message: message, output)
        }
        end(mark, session, output)
    }

    private func writeDocument(_ result: WriteResult, _ session: Session, _ output: OutputBytes) {
        guard result.isGone else {
            return result.document.append(to: output, shape: (try? shape(session)) ?? session.shape)
        }
        output.writeMapHeader(2)
        for name: StaticString in ["id", "_id"] {
            output.writeString(name)
            output.writeString(bytes: result.document.key)
        }
    }

    private func writeDocumentID(_ key: Bytes, message: StaticString, _ output: OutputBytes) {
        output.writeString("document_id")
        output.writeString(bytes: key)
        output.writeString("message")
        output.writeString(message)
    }

    /// The head of an envelope: a map of `fieldCount` fields of which `database` and `collection` are written.
    func writeEnvelope(_ collection: Collection, fieldCount: Int, _ output: OutputBytes) {
        output.writeMapHeader(fieldCount)
        output.writeString("database")
        output.writeString(collection.database)
        output.writeString("collection")
        output.writeString(collection.name)
    }

    /// `database` and `collection` as the request named them, for answers about a collection that may not exist.
    func writeNames(_ collection: Collection?, _ session: Session, _ output: OutputBytes) {
        let names = collection.map { ($0.database, $0.name) } ?? requestedNames(session)
        output.writeString("database")
        output.writeString(names.0)
        output.writeString("collection")
        output.writeString(names.1)
    }

    /// Names of the request as text; for slow paths.
    func requestedNames(_ session: Session) -> (database: String, collection: String) {
        if let handle = fields.collectionHandle, handle < UInt64(session.bound.count) {
            let bound = session.bound[Int(handle)]
            return (text(bound.database), text(bound.name))
        }
        return (
            requestedDatabase(session), ((try? fields.text(.collection)) ?? nil).map { String(decoding: $0, as: UTF8.self) } ?? ""
        )
    }

    /// The database of the request as text; for slow paths.
    func requestedDatabase(_ session: Session) -> String {
        if let name = (try? fields.text(.database)) ?? nil, !name.isEmpty { return String(decoding: name, as: UTF8.self) }
        return text(session.database)
    }

    private func text(_ bytes: [UInt8]) -> String {
        bytes.isEmpty ? CatalogView.defaultDatabase : String(decoding: bytes, as: UTF8.self)
    }

    /// A single answer is at most one frame of the limit that both sides know.
    func checkSize(_ mark: FrameMark, _ output: OutputBytes) throws(DocumentError) {
        let limit = node.limits.frameByteCountMax
        guard output.payloadByteCount(since: mark) <= limit else { throw Self.resultTooLarge(limit) }
    }

    static func resultTooLarge(_ limit: Int) -> DocumentError {
        DocumentError(
            .resultTooLarge,
            "The result is larger than one answer may be (\(limit) bytes): use limit and skip, a projection, or stream: true",
            details: [.init("limit", .int(Int64(limit)))])
    }
}
