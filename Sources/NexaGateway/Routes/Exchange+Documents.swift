/// One document: create, read, replace, change, delete.

import HTTPTypes
import HummingbirdCore
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    // MARK: POST /collections/{c}

    func create(in target: Target) async throws(Problem) -> Answer {
        let text = try await body()
        let wish = request.headers[.prefer].map { $0.split(separator: ",").map { $0.filter { $0 != " " } } } ?? []
        let create = try await work(on: text.readableBytes) { () throws(Problem) in try createFrame(target, id: nil, text) }
        let frame = try await ask(create, isWrite: true)
        return try await created(
            frame, target, minimal: wish.contains("return=minimal"), whole: wish.contains("return=representation"))
    }

    private func createFrame(_ target: Target, id: String?, _ text: ByteBuffer) throws(Problem) -> OutputBytes {
        if let id { return try putFrame("create", target, id, text) }
        var create = NodeRequest(.create, capacity: text.readableBytes + 256)
        create.add(target, self)
        try create.addDocument("data", text)
        try create.addWriteOptions(self)
        return create.frame()
    }

    private func created(_ frame: LocalFrame, _ target: Target, minimal: Bool, whole: Bool) async throws(Problem) -> Answer {
        let id = try frame.payload.text("document_id") ?? ""
        var answer: Answer
        if minimal {
            answer = finish(Answer(status: 201), frame)
            answer.fields[.preferenceApplied] = "return=minimal"
        } else if whole, let read = try? await document(target, id: id, status: 201).answer {
            answer = read
            answer.fields[.preferenceApplied] = "return=representation"
        } else {
            // It is stored, even where it cannot be read any more.
            answer = try await success(frame, status: 201)
        }
        answer.fields[.location] = path(of: target, id: id)
        if let token = frame.token { answer.fields[.eTag] = EntityTag(revision: token.lsn).text }
        return answer
    }

    /// Where the document is, in the form of path that the request used.
    func path(of target: Target, id: String) -> String {
        let collection = PercentCoding.encode(target.collection)
        let id = PercentCoding.encode(id)
        if let database = target.database {
            return "/databases/\(PercentCoding.encode(database))/collections/\(collection)/documents/\(id)"
        }
        let query = parameters.text("database").map { "?database=\(PercentCoding.encode($0))" } ?? ""
        return "/collections/\(collection)/\(id)\(query)"
    }

    // MARK: GET

    func read(_ target: Target, id: String) async throws(Problem) -> Answer {
        let (ifMatch, ifNoneMatch) = (try condition(.ifMatch), try condition(.ifNoneMatch))
        var (answer, revision) = try await document(target, id: id, status: 200)
        guard ifMatch != nil || ifNoneMatch != nil, let revision else { return answer }
        if let allowed = ifMatch?.revisions, !allowed.contains(revision) { throw Self.otherRevision }
        guard ifNoneMatch?.matches(revision) == true else { return answer }
        answer.status = 304
        answer.body = .none
        answer.fields[.contentType] = nil
        return answer
    }

    /// The document with its tag.
    private func document(
        _ target: Target, id: String, status: Int
    ) async throws(Problem) -> (answer: Answer, revision: UInt64?) {
        let frame = try await ask(try readFrame(target, id))
        guard frame.type == .success else { throw Self.noDocument(id) }
        let isBare = try parameters.flag("bare") ?? false
        let showsRevision = try parameters.flag("rev") ?? false
        let (text, revision) = try await work(on: frame.payload.readableBytes) { () throws(Problem) in
            try json(of: frame, isBare: isBare, showsRevision: showsRevision)
        }
        try checkRoom(for: text)
        var answer = finish(Answer(status: status, json: text), frame)
        if let revision { answer.fields[.eTag] = EntityTag(revision: revision).text }
        return (answer, revision)
    }

    private func json(
        of frame: LocalFrame, isBare: Bool, showsRevision: Bool
    ) throws(Problem) -> (text: OutputBytes, revision: UInt64?) {
        let body = JSONBody(style: style, capacity: frame.payload.readableBytes * 2 + 64)
        let revision = try frame.payload.withMessagePack { (reader: inout MessagePackReader) throws(MessagePackError) in
            var revision: UInt64?
            let count = try reader.readMapHeader()
            if !isBare { body.append("{\"status\":\"success\"") }
            for _ in 0..<count {
                let name = isBare ? try reader.readStringBytes() : try body.appendName(&reader)
                if name.equals("document") {
                    revision = try body.appendDocument(&reader, showsRevision: showsRevision)
                } else if isBare {
                    try reader.skipValue()
                } else {
                    try JSONText.write(try reader.readRawValue(), into: body.output, style: style)
                }
            }
            if !isBare { body.append("}") }
            return revision
        }
        return (body.output, revision)
    }

    func readFrame(_ target: Target, _ id: String) throws(Problem) -> OutputBytes {
        var read = NodeRequest(.read)
        read.add(target, self)
        read.add("key", id)
        read.add("rev", true)
        read.add("include_vector", try parameters.flag("include_vector") ?? true)
        try read.addReadOptions(self)
        return read.frame()
    }

    // MARK: PUT

    /// Puts the document in the place of what is there, if anything is.
    func replace(_ target: Target, id: String) async throws(Problem) -> Answer {
        if try parameters.flag("merge") == true { return try await update(target, id: id) }
        let text = try await body()
        let ifMatch = try condition(.ifMatch)
        switch try condition(.ifNoneMatch) {
        case .any where ifMatch == nil: return try await createOnly(target, id, text)
        case nil: break
        default: throw Self.badNoneMatch("takes * alone with PUT, and stands without If-Match")
        }
        let revision = try await self.revision(ifMatch, target, id)
        // With a key for repeats it is one request, always the same; without, a look before tells whether it creates.
        let mustExist = ifMatch == .any
        let looks = mustExist || (ifMatch == nil && request.headers[.idempotencyKey] == nil)
        let look = looks ? try lookFrame(target, id) : nil
        let writes = try await work(on: text.readableBytes) { () throws(Problem) in
            (
                put: try putFrame("put", target, id, ifMatch: revision, mustExist: mustExist, text),
                create: looks && !mustExist ? try putFrame("create", target, id, text) : nil
            )
        }
        nonisolated(unsafe) let frames = (look: look, put: writes.put, create: writes.create)
        let (frame, isNew) = try await withNode { connection throws(Problem) in
            if let look = frames.look, try await connection.ask(look).type == .notFound {
                guard let create = frames.create else { throw Self.noSuchDocument }
                do throws(Problem) {
                    return (try await connection.ask(create, isWrite: true), true)
                } catch {
                    // Somebody else may have created it meanwhile: then it is replaced.
                    guard error.code == ErrorCode.duplicate.rawValue else { throw error }
                }
            }
            do throws(Problem) {
                return (try await connection.ask(frames.put, isWrite: true), false)
            } catch {
                throw Self.asPrecondition(error, ifMatch != nil)
            }
        }
        return try written(frame, target, id, isNew ? "Document inserted" : "Document replaced", status: isNew ? 201 : 200)
    }

    private func createOnly(_ target: Target, _ id: String, _ text: ByteBuffer) async throws(Problem) -> Answer {
        let frame: LocalFrame
        do throws(Problem) {
            let create = try await work(on: text.readableBytes) { () throws(Problem) in try createFrame(target, id: id, text) }
            frame = try await ask(create, isWrite: true)
        } catch {
            throw error.code == ErrorCode.duplicate.rawValue ? Self.preconditionFailed("The document exists") : error
        }
        return try written(frame, target, id, "Document inserted", status: 201)
    }

    /// A batch of one: the only write that puts a document in the place of another.
    private func putFrame(
        _ operation: String, _ target: Target, _ id: String, ifMatch: UInt64? = nil, mustExist: Bool = false, _ text: ByteBuffer
    ) throws(Problem) -> OutputBytes {
        try putFrame(operation, target, id, ifMatch: ifMatch, mustExist: mustExist, byteCount: text.readableBytes) {
            output throws(Problem) in
            try NodeRequest.write(document: text, into: output)
        }
    }

    /// `write` appends the document; `mustExist`: it takes the place of one, whatever its revision.
    func putFrame(
        _ operation: String, _ target: Target, _ id: String, ifMatch: UInt64? = nil, mustExist: Bool = false,
        isRepeatable: Bool = true, byteCount: Int, _ write: (OutputBytes) throws(Problem) -> Void
    ) throws(Problem) -> OutputBytes {
        var batch = NodeRequest(.batchWrite, capacity: byteCount + 256)
        batch.add(target, self)
        try batch.add("operations") { output throws(Problem) in
            output.writeArrayHeader(1)
            output.writeMapHeader(3 + (ifMatch == nil ? 0 : 1) + (mustExist ? 1 : 0))
            output.writeString("op")
            output.writeString(operation)
            output.writeString("key")
            output.writeString(id)
            if let ifMatch {
                output.writeString("if_match")
                output.writeUInt(ifMatch)
            }
            if mustExist {
                output.writeString("upsert")
                output.writeBool(false)
            }
            output.writeString("data")
            try write(output)
        }
        try batch.addWriteOptions(self, isRepeatable: isRepeatable)
        return batch.frame()
    }

    /// A read of the key alone.
    private func lookFrame(_ target: Target, _ id: String) throws(Problem) -> OutputBytes {
        var read = NodeRequest(.read)
        read.add(target, self)
        read.add("key", id)
        return read.frame()
    }

    /// A write of one document that the gateway tells of itself: the node's words are those of a batch.
    func written(
        _ frame: LocalFrame, _ target: Target, _ id: String, _ message: StaticString, status: Int
    ) throws(Problem) -> Answer {
        let body = JSONBody(style: style)
        body.append("{\"status\":\"success\",\"database\":")
        body.appendString(try frame.payload.text("database") ?? "")
        body.append(",\"collection\":")
        body.appendString(target.collection)
        body.append(",\"document_id\":")
        body.appendString(id)
        body.append(",\"message\":\"")
        body.append(message)
        body.append("\"}")
        var answer = finish(Answer(status: status, json: body.output), frame)
        if status == 201 { answer.fields[.location] = path(of: target, id: id) }
        if let token = frame.token { answer.fields[.eTag] = EntityTag(revision: token.lsn).text }
        return answer
    }

    // MARK: PATCH, DELETE

    func update(_ target: Target, id: String) async throws(Problem) -> Answer {
        let text = try await body()
        let ifMatch = try writeCondition()
        let revision = try await revision(ifMatch, target, id)
        // If-Match: * asks for a document that is there.
        let upserts = try parameters.flag("upsert") == true && ifMatch == nil
        let request = try await work(on: text.readableBytes) { () throws(Problem) in
            try updateFrame(target, id, ifMatch: revision, upserts: upserts, text)
        }
        let frame = try await write(request, id, ifMatch)
        var answer = try await success(frame)
        if let token = frame.token { answer.fields[.eTag] = EntityTag(revision: token.lsn).text }
        return answer
    }

    private func updateFrame(
        _ target: Target, _ id: String, ifMatch: UInt64?, upserts: Bool, _ text: ByteBuffer
    ) throws(Problem) -> OutputBytes {
        var update = NodeRequest(.update, capacity: text.readableBytes + 256)
        update.add(target, self)
        update.add("key", id)
        try update.addDocument("updates", text)
        if let ifMatch { update.add("if_match", ifMatch) }
        if upserts { update.add("upsert", true) }
        try update.addWriteOptions(self)
        return update.frame()
    }

    func delete(_ target: Target, id: String) async throws(Problem) -> Answer {
        let ifMatch = try writeCondition()
        var delete = NodeRequest(.delete)
        delete.add(target, self)
        delete.add("key", id)
        if let revision = try await revision(ifMatch, target, id) { delete.add("if_match", revision) }
        try delete.addWriteOptions(self)
        return try await success(try await write(delete.frame(), id, ifMatch))
    }

    private func write(_ request: OutputBytes, _ id: String, _ ifMatch: EntityTag.Condition?) async throws(Problem) -> LocalFrame
    {
        let frame: LocalFrame
        do throws(Problem) {
            frame = try await ask(request, isWrite: true)
        } catch {
            throw Self.asPrecondition(error, ifMatch != nil)
        }
        guard frame.type == .success else {
            throw ifMatch == nil ? Self.noDocument(id) : Self.noSuchDocument
        }
        return frame
    }

    // MARK: Conditions

    func condition(_ name: HTTPField.Name) throws(Problem) -> EntityTag.Condition? {
        guard let text = request.headers[name] else { return nil }
        guard let condition = EntityTag.Condition(text) else {
            throw Problem(.badRequest, "The header \(name.rawName) is * or a list of entity tags in double quotes")
        }
        return condition
    }

    /// `If-Match` of a write that only changes what is there.
    func writeCondition() throws(Problem) -> EntityTag.Condition? {
        if request.headers.contains(.ifNoneMatch) { throw Self.badNoneMatch("means nothing with \(method.rawValue)") }
        return try condition(.ifMatch)
    }

    /// The revision that the document must have; nil: any. A node compares one: of several it is the one that the document has now.
    func revision(_ condition: EntityTag.Condition?, _ target: Target, _ id: String) async throws(Problem) -> UInt64? {
        guard let allowed = condition?.revisions else { return nil }
        // Tags that this node cannot have given.
        guard let first = allowed.first else { throw Self.otherRevision }
        if allowed.count == 1 { return first }
        let revision: UInt64?
        do throws(Problem) {
            revision = try await document(target, id: id, status: 200).revision
        } catch {
            throw error.status == 404 ? Self.noSuchDocument : error
        }
        guard let revision, allowed.contains(revision) else { throw Self.otherRevision }
        return revision
    }

    static var otherRevision: Problem { preconditionFailed("The document is at another revision") }
    static var noSuchDocument: Problem { preconditionFailed("There is no such document") }

    private static func badNoneMatch(_ what: String) -> Problem { Problem(.badRequest, "The header If-None-Match \(what)") }

    private static func asPrecondition(_ problem: Problem, _ isConditional: Bool) -> Problem {
        guard isConditional, problem.code == ErrorCode.conflict.rawValue else { return problem }
        return preconditionFailed(problem.detail)
    }

    static func preconditionFailed(_ detail: String) -> Problem { Problem(.preconditionFailed, detail) }

    static func noDocument(_ id: String) -> Problem {
        Problem(.notFound, "Document not found", details: [.init("document_id", .string(id))])
    }
}

extension NodeRequest {
    /// JSON text that must be an object.
    mutating func addDocument(_ field: StaticString, _ text: ByteBuffer) throws(Problem) {
        try add(field) { output throws(Problem) in try Self.write(document: text, into: output) }
    }

    static func write(document text: ByteBuffer, into output: OutputBytes) throws(Problem) {
        guard text.readableBytes > 0 else { throw Problem(.badPayload, "The body is missing: a JSON object") }
        let start = output.byteCount
        try Exchange.parse(text, into: output)
        guard MessagePackReader(output.bytes, position: start).nextKind == .map else {
            throw Problem(.badPayload, "The body is a JSON object")
        }
    }
}

extension JSONBody {
    /// A document that was asked for with its revision, which stands last; answers it.
    func appendDocument(_ reader: inout MessagePackReader, showsRevision: Bool) throws(MessagePackError) -> UInt64? {
        let start = reader
        let count = try reader.readMapHeader()
        var entries = reader
        for _ in 0..<max(0, count - 1) {
            try reader.skipValue()
            try reader.skipValue()
        }
        guard count > 0, try reader.readStringBytes().equals("_rev") else {
            reader = start
            try JSONText.write(try reader.readRawValue(), into: output, style: style)
            return nil
        }
        let revision = try reader.readUInt64()
        try JSONText.writeEntries(showsRevision ? count : count - 1, of: &entries, into: output, style: style)
        return revision
    }
}

extension ByteBuffer {
    /// The text in a field of a map.
    func text(_ field: StaticString) throws(Problem) -> String? {
        try withMessagePack { (reader: inout MessagePackReader) throws(MessagePackError) in
            for _ in 0..<(try reader.readMapHeader()) {
                let name = try reader.readStringBytes()
                if name.equals(field) {
                    return reader.nextKind == .string ? try reader.readString() : nil
                }
                try reader.skipValue()
            }
            return nil
        }
    }
}
