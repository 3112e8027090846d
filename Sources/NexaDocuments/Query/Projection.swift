import NexaWire

/// The `projection` of a request, compiled to a tree of names, and its application to bytes: whole entries are copied, nested
/// maps are entered only where a dotted path leads into them.
///
///     {"name": 1, "address.city": 1}       include:  root ─ _id, name, address ─ city
///     {"secret": 0}                         exclude:  root ─ secret
///     ["name", "age"]                       as include
///
/// `_id` is kept unless it is excluded. A dotted path enters the maps within arrays; other elements are left out when
/// including and kept when excluding.
final class Projection: Sendable {
    static let pathCountMax = 1000

    private let root: ProjectionLevel
    private let isIncluding: Bool
    /// Whether the plain dialect's `id` may be put in front of a document that has none.
    private let allowsID: Bool

    /// Nil if `bytes` ask for no projection. `shape` may leave `vector` out: then so does an excluding projection.
    static func compile(_ bytes: UnsafeRawBufferPointer, shape: DocumentShape) throws(DocumentError) -> Projection? {
        var reader = MessagePackReader(bytes)
        switch reader.nextKind {
        case nil, .null:
            return nil
        case .array:
            let paths = try readList(&reader)
            return paths.isEmpty ? nil : try Projection(including: paths, keepsID: true)
        case .map:
            return try compileMap(&reader, shape)
        default:
            throw malformed()
        }
    }

    private static func compileMap(_ reader: inout MessagePackReader, _ shape: DocumentShape) throws(DocumentError) -> Projection?
    {
        var included: [FieldPath] = []
        var excluded: [FieldPath] = []
        var keepsID: Bool?
        guard let count = try? reader.readMapHeader() else { throw malformed() }
        guard count <= pathCountMax else { throw tooMany() }
        for _ in 0..<count {
            guard let name = try? reader.readStringBytes() else { throw malformed() }
            let isWanted = try readFlag(&reader, name)
            if name.text == "_id" {
                keepsID = isWanted
            } else if isWanted {
                included.append(try FieldPath(request: name, field: "projection"))
            } else {
                excluded.append(try FieldPath(request: name, field: "projection"))
            }
        }
        guard included.isEmpty || excluded.isEmpty else {
            throw DocumentError(
                .badRequest, "'projection' either includes fields or excludes them; only '_id' may differ",
                details: [.init("field", "projection")])
        }
        if !included.isEmpty || (excluded.isEmpty && keepsID == true) {
            return try Projection(including: included, keepsID: keepsID ?? true)
        }
        if excluded.isEmpty && keepsID == nil { return nil }
        return try Projection(excluding: excluded, keepsID: keepsID ?? true, shape: shape)
    }

    private init(including paths: [FieldPath], keepsID: Bool) throws(DocumentError) {
        var root = ProjectionLevel()
        if keepsID { root.append("_id") }
        for path in paths where !(keepsID && path.text == Array("_id".utf8)) { try root.insert(path) }
        root.seal()
        self.root = root
        isIncluding = true
        allowsID = keepsID
    }

    private init(excluding paths: [FieldPath], keepsID: Bool, shape: DocumentShape) throws(DocumentError) {
        var root = ProjectionLevel()
        if !keepsID { root.append("_id") }
        for path in paths { try root.insert(path) }
        if shape.contains(.dropsVector) { root.append("vector") }
        root.seal()
        self.root = root
        isIncluding = false
        allowsID = keepsID && !root.nodes.contains { $0.name == Array("id".utf8) && $0.isLeaf }
    }

    // MARK: Application

    /// Appends what is left of the document as one map.
    func append(_ document: DocumentView, to output: OutputBytes, shape: DocumentShape) {
        guard let walk = FieldWalk(document.bytes) else { return output.append(document.bytes) }
        let addsID = allowsID && shape.contains(.addsID) && !document.flags.contains(.ownID)
        let addsRevision = shape.contains(.addsRevision)
        let extra = (addsID ? 1 : 0) + (addsRevision ? 1 : 0)
        let mark = MapHeaderMark(output, countMax: bound(walk, root) + extra)
        if addsID {
            output.writeString("id")
            output.writeString(bytes: document.key)
        }
        let count = appendFields(walk, root, to: output)
        if addsRevision {
            output.writeString("_rev")
            output.writeUInt(document.lsn)
        }
        mark.patch(output, count: count + extra)
    }

    private func bound(_ walk: FieldWalk, _ level: ProjectionLevel) -> Int {
        isIncluding ? min(walk.fieldCount, level.nodes.count) : walk.fieldCount
    }

    private func appendFields(_ start: FieldWalk, _ level: ProjectionLevel, to output: OutputBytes) -> Int {
        var walk = start
        var count = 0
        while walk.next() {
            guard let node = level.find(walk.name) else {
                if !isIncluding {
                    output.append(walk.entry)
                    count += 1
                }
                continue
            }
            if level.nodes[node].isLeaf {
                guard isIncluding else { continue }
                output.append(walk.entry)
            } else {
                guard Self.isContainer(walk.value) || !isIncluding else { continue }
                output.writeString(bytes: walk.name)
                appendPart(of: walk.value, level.nodes[node].children, to: output)
            }
            count += 1
        }
        return count
    }

    /// Appends a value that the paths lead into.
    private func appendPart(of value: UnsafeRawBufferPointer, _ level: ProjectionLevel, to output: OutputBytes) {
        if let walk = FieldWalk(value) {
            let mark = MapHeaderMark(output, countMax: bound(walk, level))
            mark.patch(output, count: appendFields(walk, level, to: output))
            return
        }
        var reader = MessagePackReader(value)
        guard let count = try? reader.readArrayHeader() else { return output.append(value) }
        let start = output.writeOpenArrayHeader()
        var kept = 0
        for _ in 0..<count {
            guard let element = try? reader.readRawValue() else { break }
            if !Self.isContainer(element) && isIncluding { continue }
            appendPart(of: element, level, to: output)
            kept += 1
        }
        output.patchArrayHeader(at: start, count: kept)
    }

    private static func isContainer(_ value: UnsafeRawBufferPointer) -> Bool {
        switch value.first {
        case .some(0x80...0x9F), 0xDC, 0xDD, 0xDE, 0xDF: true
        default: false
        }
    }

    // MARK: Reading the request

    private static func readList(_ reader: inout MessagePackReader) throws(DocumentError) -> [FieldPath] {
        guard let count = try? reader.readArrayHeader() else { throw malformed() }
        guard count <= pathCountMax else { throw tooMany() }
        var paths: [FieldPath] = []
        for _ in 0..<count {
            guard let name = try? reader.readStringBytes() else { throw malformed() }
            paths.append(try FieldPath(request: name, field: "projection"))
        }
        return paths
    }

    private static func readFlag(
        _ reader: inout MessagePackReader, _ name: UnsafeRawBufferPointer
    ) throws(DocumentError) -> Bool {
        if let flag = try? reader.readBool() { return flag }
        if let number = try? reader.readDouble() { return number != 0 }
        throw DocumentError(
            .badRequest, "'projection' takes 1 or 0 for a field, no operators", details: [.init("path", .string(name.text))])
    }

    private static func malformed() -> DocumentError {
        DocumentError(
            .badRequest, "'projection' is a map of fields to 1 or 0, or a list of fields", details: [.init("field", "projection")]
        )
    }

    private static func tooMany() -> DocumentError {
        DocumentError(
            .badRequest, "'projection' names at most \(pathCountMax) fields", details: [.init("field", "projection")])
    }
}

/// A map header whose count is known only after the entries: wide enough for the most there can be.
private struct MapHeaderMark {
    private let offset: Int
    private let countMax: Int

    init(_ output: OutputBytes, countMax: Int) {
        offset = output.byteCount
        self.countMax = countMax
        if countMax < 16 {
            output.appendU8(0x80)
        } else if countMax < 1 << 16 {
            output.appendU8(0xDE)
            output.appendBE(UInt16(0))
        } else {
            output.appendU8(0xDF)
            output.appendBE(UInt32(0))
        }
    }

    func patch(_ output: OutputBytes, count: Int) {
        precondition(count <= countMax)
        if countMax < 16 {
            output.storeBE(0x80 | UInt8(count), at: offset)
        } else if countMax < 1 << 16 {
            output.storeBE(UInt16(count), at: offset + 1)
        } else {
            output.storeBE(UInt32(count), at: offset + 1)
        }
    }
}
