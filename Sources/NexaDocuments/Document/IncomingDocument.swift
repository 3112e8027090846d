import NexaWire

/// What one walk over a client's document finds out: everything that CREATE needs to know before it splices.
///
/// Fields that the server keeps itself (`_id`, `_created_at`, `_updated_at`) are dropped from their place; their names come
/// first in the stored document. All offsets count from the start of `bytes`.
struct IncomingDocument {
    let bytes: UnsafeRawBufferPointer
    let fieldCount: Int
    let bodyStart: Int
    /// Value of `_id`, unless nil.
    private(set) var idValue = UnsafeRawBufferPointer.none
    /// Value of `id`; where `id` may be the key, unless nil.
    private(set) var ownIDValue = UnsafeRawBufferPointer.none
    private(set) var vectorValue = UnsafeRawBufferPointer.none
    /// Entries that are not copied, in their order: at most `_id`, `id: nil` and the two timestamps, as no key stands twice in a map.
    private var dropped = InlineArray<4, Range<Int>>(repeating: 0..<0)
    private var droppedCount = 0
    /// The document only announces its collection.
    private(set) var isMarker = false
    private(set) var markerDimensions: Int?

    private let usesIDField: Bool

    /// Walks `document`. BAD_REQUEST if it is not a map. With `usesIDField` (plain dialect) `id` may be the key, and nil counts as
    /// absent; without, it is a field like any other.
    init(_ document: UnsafeRawBufferPointer, usesIDField: Bool) throws(DocumentError) {
        guard var walk = FieldWalk(document) else {
            throw DocumentError(.badRequest, "A document is a map of fields")
        }
        bytes = document
        self.usesIDField = usesIDField
        fieldCount = walk.fieldCount
        bodyStart = walk.bodyStart
        while walk.next() {
            // Five names matter, and all of them start with one of three letters.
            switch walk.name.first {
            case UInt8(ascii: "_"): visitReserved(walk)
            case UInt8(ascii: "i") where walk.isNamed("id"):
                if usesIDField && walk.value[0] == 0xC0 { drop(walk) } else { ownIDValue = walk.value }
            case UInt8(ascii: "v") where walk.isNamed("vector"): vectorValue = walk.value
            default: break
            }
        }
        guard walk.isWhole, droppedCount <= dropped.count else {
            throw DocumentError(.badPayload, "The document is not well-formed MessagePack")
        }
    }

    @inline(never)
    private mutating func visitReserved(_ walk: FieldWalk) {
        if walk.isNamed("_id") {
            drop(walk)
            if walk.value[0] != 0xC0 { idValue = walk.value }
        } else if walk.isNamed("_created_at") || walk.isNamed("_updated_at") {
            drop(walk)
        } else if walk.isNamed("_nexadb_collection_marker") || walk.isNamed("_collection_init") {
            if walk.value[0] == 0xC3 { isMarker = true }
        } else if walk.isNamed("_vector_dimensions") {
            var reader = MessagePackReader(walk.value)
            if let count = try? reader.readInt64() { markerDimensions = Int(count) }
        }
    }

    private mutating func drop(_ walk: FieldWalk) {
        if droppedCount < dropped.count { dropped[droppedCount] = walk.entryStart..<walk.position }
        droppedCount += 1
    }

    /// The key that the document brings along: `_id`, else, where the dialect says so, `id`. No bytes if it brings none.
    ///
    /// Keys are text. A number is refused rather than converted: READ would not find it under the number again.
    func givenKey() throws(DocumentError) -> UnsafeRawBufferPointer {
        let fromID = idValue.count == 0
        let value = fromID ? (usesIDField ? ownIDValue : .none) : idValue
        guard value.count > 0 else { return .none }
        var reader = MessagePackReader(value)
        guard let key = try? reader.readStringBytes() else {
            let name = fromID ? "id" : "_id"
            throw DocumentError(
                .badRequest, "'\(name)' is the key of the document and must be text: write \"7\" instead of 7",
                details: [.init("path", .string(name))])
        }
        try Self.checkKey(key)
        return key
    }

    static func checkKey(_ key: UnsafeRawBufferPointer) throws(DocumentError) {
        guard NameRules.isValidKey(key) else {
            throw DocumentError(
                .badRequest, "A key has 1 to \(NameRules.keyByteCountMax) bytes, not \(key.count)",
                details: [.init("field", "key")])
        }
    }

    /// Lists the runs of bytes that are kept: what lies between the dropped entries.
    @inline(__always)
    func collectRuns(into splice: inout DocumentSplice) {
        splice.begin()
        var start = bodyStart
        for index in 0..<droppedCount {
            splice.append(UnsafeRawBufferPointer(rebasing: bytes[start..<dropped[index].lowerBound]), fieldCount: 0)
            start = dropped[index].upperBound
        }
        splice.append(UnsafeRawBufferPointer(rebasing: bytes[start...]), fieldCount: fieldCount - droppedCount)
    }

    var flags: DocumentFlags {
        var flags: DocumentFlags = []
        if ownIDValue.count > 0 { flags.insert(.ownID) }
        if vectorValue.count > 0 { flags.insert(.vector) }
        return flags
    }
}
