import CSupport
import NexaWire

/// The fields of an UPDATE, prepared for a shallow merge: listed by name, each used at most once.
///
/// A stored field whose name is listed takes the new value in its old place; listed fields that the document lacks are appended
/// in the order of the request. `_id` may be repeated but not changed; the timestamps are the server's and ignored.
/// Look-up is linear up to eight fields and hashed beyond, so that a merge costs O(stored + updates).
struct UpdateFields {
    private struct Field {
        let name: UnsafeRawBufferPointer
        let entry: UnsafeRawBufferPointer
        var isUsed = false
    }

    private static let linearCountMax = 8

    private var fields: ContiguousArray<Field> = []
    /// Open addressing over `fields`: index + 1, 0 is empty. Only for more than `linearCountMax` fields.
    private var slots: ContiguousArray<Int32> = []
    /// Random per list, so that nobody can choose names that collide.
    private var seed: UInt64 = 0
    private(set) var vectorValue = UnsafeRawBufferPointer.none
    /// Which of the merged document's fields came from the update, for the log: see `ChangeNote`.
    private(set) var note = ContiguousArray<UInt8>()
    private var setsOwnID = false

    /// Lists the fields of the map `updates` for the document of `key`. BAD_UPDATE for operators and for another `_id`.
    mutating func load(
        _ updates: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, usesIDField: Bool
    ) throws(DocumentError) {
        fields.removeAll(keepingCapacity: true)
        slots.removeAll(keepingCapacity: true)
        vectorValue = .none
        setsOwnID = false
        guard var walk = FieldWalk(updates) else { throw DocumentError(.badUpdate, "'updates' is a map of fields to set") }
        while walk.next() {
            switch walk.name.first {
            case UInt8(ascii: "$"): throw Self.unknownOperator(walk.name)
            case UInt8(ascii: "_"):
                if walk.isNamed("_id") {
                    try Self.checkID(walk.value, key)
                    continue
                }
                if walk.isNamed("_created_at") || walk.isNamed("_updated_at") { continue }
            case UInt8(ascii: "v") where walk.isNamed("vector"): vectorValue = walk.value
            case UInt8(ascii: "i") where walk.isNamed("id"):
                // A document read in the plain dialect carries `id`; writing it back must not make it a field of its own.
                if usesIDField && Self.isText(walk.value, key) { continue }
                setsOwnID = true
            default: break
            }
            fields.append(Field(name: walk.name, entry: walk.entry))
        }
        guard walk.isWhole else { throw DocumentError(.badPayload, "'updates' is not well-formed MessagePack") }
        if fields.count > Self.linearCountMax { buildSlots() }
    }

    /// Lists the runs of the merged document.
    mutating func merge(into document: DocumentView, splice: inout DocumentSplice) throws(DocumentError) {
        splice.begin()
        note.removeAll(keepingCapacity: true)
        guard var walk = FieldWalk(document.bytes), walk.next(), walk.next(), walk.next() else {
            throw StoredLayout.damage(document)
        }
        var place = 0
        while walk.next() {
            if let index = find(walk.name) {
                fields[index].isUsed = true
                splice.append(fields[index].entry, fieldCount: 1)
                ChangeNote.mark(place, in: &note)
            } else {
                splice.append(walk.entry, fieldCount: 1)
            }
            place += 1
        }
        guard walk.isWhole else { throw StoredLayout.damage(document) }
        for field in fields where !field.isUsed {
            splice.append(field.entry, fieldCount: 1)
            ChangeNote.mark(place, in: &note)
            place += 1
        }
    }

    /// Lists the runs of a new document (upsert).
    func collectRuns(into splice: inout DocumentSplice) {
        splice.begin()
        for field in fields { splice.append(field.entry, fieldCount: 1) }
    }

    func flags(merging flags: DocumentFlags) -> DocumentFlags {
        var flags = flags
        if setsOwnID { flags.insert(.ownID) }
        if vectorValue.count > 0 { flags.insert(.vector) }
        return flags
    }

    // MARK: Look-up

    @inline(__always)
    private func find(_ name: UnsafeRawBufferPointer) -> Int? {
        if slots.isEmpty {
            for index in 0..<fields.count where areEqual(fields[index].name, name) { return index }
            return nil
        }
        var slot = Int(truncatingIfNeeded: hash(name)) & (slots.count - 1)
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if areEqual(fields[index].name, name) { return index }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private mutating func buildSlots() {
        seed = UInt64.random(in: .min ... .max)
        var capacity = 16
        while capacity < fields.count * 2 { capacity *= 2 }
        slots.append(contentsOf: repeatElement(0, count: capacity))
        for index in 0..<fields.count {
            var slot = Int(truncatingIfNeeded: hash(fields[index].name)) & (capacity - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (capacity - 1) }
            slots[slot] = Int32(index + 1)
        }
    }

    private func hash(_ name: UnsafeRawBufferPointer) -> UInt64 { nexa_xxh3(name.baseAddress, name.count, seed) }

    // MARK: Refusals

    private static func isText(_ value: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) -> Bool {
        var reader = MessagePackReader(value)
        guard let text = try? reader.readStringBytes() else { return false }
        return areEqual(text, key)
    }

    private static func checkID(_ value: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) throws(DocumentError) {
        guard isText(value, key) else {
            throw DocumentError(
                .badUpdate, "'_id' of a document never changes: create a new document under the other key",
                details: [.init("path", "_id")])
        }
    }

    private static func unknownOperator(_ name: UnsafeRawBufferPointer) -> DocumentError {
        let text = UnsafeRawBufferPointer(rebasing: name.prefix(64)).text
        return DocumentError(
            .badUpdate, "Update operator '\(text)' is not supported: list the fields to set, without operators",
            details: [.init("operator", .string(text))])
    }
}
