import NexaStorage
import NexaWire

/// Keys and values of the engine for people: `[u32 BE collection id][document key]` and `[u8 flags][MessagePack document]`, as
/// docs/formats describes them. What does not look like that is shown as hexadecimal digits, never refused.
enum EntryText {
    /// "5/user000000000042": collection id and document key.
    static func key(_ bytes: UnsafeRawBufferPointer) -> String {
        guard bytes.count >= 4 else { return hex(bytes) }
        let collection = UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
        let rest = UnsafeRawBufferPointer(rebasing: bytes[4...])
        return "\(collection)/" + (text(rest) ?? hex(rest))
    }

    /// The document as JSON.
    static func value(_ bytes: UnsafeRawBufferPointer) -> MessagePackValue {
        if bytes.count > 1, let document = try? MessagePackValue(decoding: UnsafeRawBufferPointer(rebasing: bytes[1...])) {
            return document
        }
        return .binary(Array(bytes))
    }

    /// The bytes as text when they are printable UTF-8.
    private static func text(_ bytes: UnsafeRawBufferPointer) -> String? {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        return text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } ? text : nil
    }

    private static func hex(_ bytes: UnsafeRawBufferPointer) -> String {
        "0x" + bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// "put", "delete" or "range delete".
    static func name(_ kind: OpKind) -> String {
        switch kind {
        case .put: "put"
        case .delete: "delete"
        case .rangeDelete: "range_delete"
        }
    }

    /// One operation of a batch or entry of a table as a map.
    static func entry(
        kind: OpKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lsn: LSN?
    ) -> [MessagePackValue.Entry] {
        var fields: [MessagePackValue.Entry] = [.init("op", .string(name(kind))), .init("key", .string(self.key(key)))]
        if let lsn { fields.append(.init("lsn", .int(Int64(clamping: lsn)))) }
        switch kind {
        case .put: fields.append(.init("document", self.value(value)))
        case .rangeDelete: fields.append(.init("end", .string(self.key(value))))
        case .delete: break
        }
        return fields
    }
}
