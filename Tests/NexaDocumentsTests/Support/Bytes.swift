import NexaDocuments
import NexaTestKit
import NexaWire

/// Gives MessagePack bytes of a value to `body`.
func withBytes<R>(_ value: MessagePackValue, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try value.encoded().withUnsafeBytes(body)
}

/// Gives the UTF-8 bytes of two texts to `body`.
func withBytes<R>(
    _ first: String, _ second: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> R
) rethrows -> R {
    try withBytes(first) { first in try withBytes(second) { try body(first, $0) } }
}

extension UnsafeRawBufferPointer {
    var string: String { String(decoding: self, as: UTF8.self) }
}

extension OutputBytes {
    /// The MessagePack values that stand one behind the other.
    func values() throws -> [MessagePackValue] {
        var reader = MessagePackReader(bytes)
        var values: [MessagePackValue] = []
        while !reader.isAtEnd { values.append(try MessagePackValue(decoding: try reader.readRawValue())) }
        return values
    }
}

extension MessagePackValue {
    /// The document without the server's timestamps.
    var withoutTimestamps: MessagePackValue { without("_created_at", "_updated_at") }

    func without(_ names: String...) -> MessagePackValue {
        guard case .map(let entries) = self else { return self }
        return .map(entries.filter { entry in !names.contains { entry.key == .string($0) } })
    }

    var fieldNames: [String] { (mapValue ?? []).compactMap(\.key.stringValue) }

    var id: String { self["_id"]?.stringValue ?? "" }
}

/// The error's code, if `body` throws a `DocumentError`.
func errorOf(_ body: () throws -> Void) -> DocumentError? {
    do {
        try body()
        return nil
    } catch {
        return error as? DocumentError
    }
}
