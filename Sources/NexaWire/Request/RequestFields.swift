// A request's fields as slices of its payload: one pass over the top-level map (or the compact array), no decoding, no allocation.
// The slices point into the payload: they live as long as the caller keeps it.
//
// Compact form: an array with positions fixed per type, the map of all other fields last.
//
//     CREATE [c, data, opts?]      READ, DELETE [c, key, opts?]       UPDATE [c, key, updates, opts?]
//     QUERY, COUNT [c, filters, opts?]   VECTOR_SEARCH [c, vector, limit, opts?]   BATCH_WRITE [c, documents, opts?]
//     MULTI_READ [c, keys, opts?]
//
// where c is a collection name or a handle from BIND.

/// The known fields of one request. Reusable; one per event loop; not Sendable.
package final class RequestFields {
    private struct Slice {
        var offset: UInt32
        var count: UInt32
    }

    /// Behind a pointer, as in `OutputBytes`: no run-time exclusivity check for each access.
    private struct State {
        var payload = UnsafeRawBufferPointer(start: nil, count: 0)
        /// Bit n: the field with raw value n is present.
        var present: UInt64 = 0
    }

    private let state: UnsafeMutablePointer<State>
    private let slices: UnsafeMutablePointer<Slice>

    private var payload: UnsafeRawBufferPointer {
        get { state.pointee.payload }
        set { state.pointee.payload = newValue }
    }
    private var present: UInt64 {
        get { state.pointee.present }
        set { state.pointee.present = newValue }
    }

    package init() {
        precondition(RequestField.allCases.count <= 64)
        state = .allocate(capacity: 1)
        state.initialize(to: State())
        slices = .allocate(capacity: 64)
        slices.initialize(repeating: Slice(offset: 0, count: 0), count: 64)
    }

    deinit {
        state.deallocate()
        slices.deallocate()
    }

    /// Collects the fields of `payload`, a validated MessagePack value (empty counts as an empty map). Throws BAD_PAYLOAD when it is
    /// neither a map nor, with `acceptsCompact`, an array in the compact form of `type`.
    package func parse(_ payload: UnsafeRawBufferPointer, type: MessageType, acceptsCompact: Bool) throws(WireError) {
        present = 0
        self.payload = payload
        if payload.isEmpty { return }
        var reader = MessagePackReader(payload)
        do throws(MessagePackError) {
            switch reader.nextKind {
            case .map: try readMap(&reader, fixed: 0)
            case .array where acceptsCompact: try readArray(&reader, type)
            default: throw MessagePackError(.wrongType, at: 0)
            }
        } catch {
            throw error.reason == .wrongType
                ? WireError(.badPayload, "The payload of \(type.name) is a map of fields") : error.wireError
        }
        if type == .update, !has(.updates), has(.data) {
            slices[Int(RequestField.updates.rawValue)] = slices[Int(RequestField.data.rawValue)]
            present |= 1 << UInt64(RequestField.updates.rawValue)
        }
    }

    /// Reads named fields. A field in `fixed` keeps what it has.
    private func readMap(_ reader: inout MessagePackReader, fixed: UInt64) throws(MessagePackError) {
        var settled = fixed
        for _ in 0..<(try reader.readMapHeader()) {
            let name = try reader.readStringBytes()
            let start = reader.position
            try reader.skipValue()
            guard let (field, isSynonym) = RequestField.lookup(name) else { continue }
            // The documented name wins over a synonym, wherever they stand; a position wins over both.
            if settled & RequestFields.bit(field) != 0 { continue }
            if !isSynonym { settled |= RequestFields.bit(field) }
            set(field, from: start, to: reader.position)
        }
    }

    private func readArray(_ reader: inout MessagePackReader, _ type: MessageType) throws(MessagePackError) {
        let count = try reader.readArrayHeader()
        guard count >= 1, RequestFields.field(at: 0, of: type) != nil else { throw MessagePackError(.wrongType, at: 0) }
        for index in 0..<count {
            let start = reader.position
            if let field = RequestFields.field(at: index, of: type) {
                try reader.skipValue()
                set(field, from: start, to: reader.position)
            } else {
                guard index == count - 1 else { throw MessagePackError(.wrongType, at: start) }
                if !reader.readNilIfPresent() { try readMap(&reader, fixed: present) }
            }
        }
    }

    /// What stands at `index` of the compact form of `type`; nil: the options, or no compact form at all.
    private static func field(at index: Int, of type: MessageType) -> RequestField? {
        switch (type, index) {
        case (.create, 0), (.read, 0), (.delete, 0), (.update, 0), (.query, 0), (.count, 0), (.vectorSearch, 0), (.batchWrite, 0),
            (.multiRead, 0):
            .collection
        case (.create, 1): .data
        case (.read, 1), (.delete, 1), (.update, 1): .key
        case (.update, 2): .updates
        case (.query, 1), (.count, 1): .filters
        case (.vectorSearch, 1): .vector
        case (.vectorSearch, 2): .limit
        case (.batchWrite, 1): .documents
        case (.multiRead, 1): .keys
        default: nil
        }
    }

    private static func bit(_ field: RequestField) -> UInt64 { 1 << UInt64(field.rawValue) }

    private func set(_ field: RequestField, from start: Int, to end: Int) {
        present |= RequestFields.bit(field)
        slices[Int(field.rawValue)] = Slice(
            offset: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: end - start))
    }

    // MARK: Values

    /// Whether the request has the field at all, nil included.
    package func has(_ field: RequestField) -> Bool { present & RequestFields.bit(field) != 0 }

    /// The MessagePack bytes of the field's value; nil when the field is absent or holds nil.
    package func raw(_ field: RequestField) -> UnsafeRawBufferPointer? {
        guard has(field) else { return nil }
        let slice = slices[Int(field.rawValue)]
        let value = UnsafeRawBufferPointer(rebasing: payload[Int(slice.offset)..<Int(slice.offset) + Int(slice.count)])
        return value[0] == 0xC0 ? nil : value
    }

    /// The UTF-8 bytes of a string field.
    package func string(_ field: RequestField) throws(WireError) -> UnsafeRawBufferPointer? {
        guard let value = raw(field) else { return nil }
        var reader = MessagePackReader(value)
        do throws(MessagePackError) { return try reader.readStringBytes() } catch { throw RequestFields.wrong(field, "a string") }
    }

    package func int(_ field: RequestField) throws(WireError) -> Int64? {
        guard let value = raw(field) else { return nil }
        var reader = MessagePackReader(value)
        do throws(MessagePackError) {
            return try reader.readInt64()
        } catch {
            throw RequestFields.wrong(field, "an integer of at most 64 bits")
        }
    }

    package func double(_ field: RequestField) throws(WireError) -> Double? {
        guard let value = raw(field) else { return nil }
        var reader = MessagePackReader(value)
        do throws(MessagePackError) { return try reader.readDouble() } catch { throw RequestFields.wrong(field, "a number") }
    }

    package func bool(_ field: RequestField) throws(WireError) -> Bool? {
        guard let value = raw(field) else { return nil }
        var reader = MessagePackReader(value)
        do throws(MessagePackError) { return try reader.readBool() } catch { throw RequestFields.wrong(field, "true or false") }
    }

    /// The MessagePack bytes of a field that must be a map.
    package func map(_ field: RequestField) throws(WireError) -> UnsafeRawBufferPointer? {
        guard let value = raw(field) else { return nil }
        guard MessagePackReader(value).nextKind == .map else { throw RequestFields.wrong(field, "a map") }
        return value
    }

    /// The MessagePack bytes of a field that must be an array.
    package func array(_ field: RequestField) throws(WireError) -> UnsafeRawBufferPointer? {
        guard let value = raw(field) else { return nil }
        guard MessagePackReader(value).nextKind == .array else { throw RequestFields.wrong(field, "an array") }
        return value
    }

    /// The number that stands for a collection in the compact form (from BIND); nil when the collection is given by name or not at all.
    package var collectionHandle: UInt64? {
        guard let value = raw(.collection) else { return nil }
        var reader = MessagePackReader(value)
        guard reader.nextKind == .int else { return nil }
        do throws(MessagePackError) { return try reader.readUInt64() } catch { return nil }
    }

    /// BAD_REQUEST: the field is missing.
    package static func missing(_ field: RequestField) -> WireError {
        WireError(.badRequest, "Missing '\(field.name)' field", details: [.init("field", .string("\(field.name)"))])
    }

    /// BAD_REQUEST: the field holds something else than `expected`.
    package static func wrong(_ field: RequestField, _ expected: StaticString) -> WireError {
        WireError(.badRequest, "'\(field.name)' must be \(expected)", details: [.init("field", .string("\(field.name)"))])
    }
}
