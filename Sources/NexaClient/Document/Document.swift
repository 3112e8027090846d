import NexaWire

/// A document as the node keeps it: the MessagePack bytes of one map, entries in order.
///
/// Nothing is decoded until it is asked for, so passing documents on costs what copying their bytes costs. Looking a field up walks
/// the entries before it. Equality is equality of bytes: the same entries in the same order and encoding. The bytes come from a
/// literal, an encoder or a node; a node is not trusted, so every look checks lengths, and what is damaged is absent.
public struct Document: Sendable, Hashable {
    /// One MessagePack map.
    package private(set) var bytes: [UInt8]

    /// No entries.
    public init() { bytes = [0x80] }

    public init(_ entries: some Sequence<(String, DocumentValue)>) {
        let output = OutputBytes(capacity: 256)
        var count = 0
        for (name, value) in entries {
            output.writeString(name)
            value.encode(into: output)
            count += 1
        }
        bytes = Document.map(of: count, output.bytes)
    }

    /// From the bytes of one MessagePack map.
    public init(messagePack: [UInt8]) throws(NexaError) {
        let isOneMap = messagePack.withUnsafeBytes { raw in
            var reader = MessagePackReader(raw)
            return reader.nextKind == .map && (try? reader.skipValue()) != nil && reader.isAtEnd
        }
        guard isOneMap else { throw NexaError(.validation, "The bytes are not one MessagePack map") }
        bytes = messagePack
    }

    /// From bytes that are known to be one map.
    package init(copying bytes: UnsafeRawBufferPointer) { self.bytes = [UInt8](bytes) }

    /// The MessagePack bytes.
    public var messagePack: [UInt8] { bytes }

    package func write(into output: OutputBytes) { output.append(bytes) }

    /// Number of entries.
    public var count: Int {
        bytes.withUnsafeBytes { raw in
            var reader = MessagePackReader(raw)
            return (try? reader.readMapHeader()) ?? 0
        }
    }
    public var isEmpty: Bool { count == 0 }

    /// The value of the entry `name`; nil where there is none. Setting replaces the entry in place, adds it at the end, or removes it.
    public subscript(name: String) -> DocumentValue? {
        get {
            bytes.withUnsafeBytes { raw in
                guard var reader = Document.find(name, in: raw) else { return nil }
                return try? DocumentValue.decode(from: &reader)
            }
        }
        set {
            var list = entries
            if let index = list.firstIndex(where: { $0.0 == name }) {
                if let newValue { list[index].1 = newValue } else { list.remove(at: index) }
            } else if let newValue {
                list.append((name, newValue))
            }
            self = Document(list)
        }
    }

    /// All entries, in order.
    public var entries: [(String, DocumentValue)] {
        bytes.withUnsafeBytes { raw in
            var reader = MessagePackReader(raw)
            var entries: [(String, DocumentValue)] = []
            guard let count = try? reader.readMapHeader() else { return [] }
            for _ in 0..<count {
                guard let name = try? reader.readString(), let value = try? DocumentValue.decode(from: &reader) else { break }
                entries.append((name, value))
            }
            return entries
        }
    }

    /// The bytes of `_id` as text, without decoding anything else.
    public var id: String? { self["_id"]?.stringValue }

    /// A reader that stands at the value of the entry `name`.
    package static func find(_ name: String, in raw: UnsafeRawBufferPointer) -> MessagePackReader? {
        var reader = MessagePackReader(raw)
        guard let count = try? reader.readMapHeader() else { return nil }
        var name = name
        return name.withUTF8 { wanted in
            for _ in 0..<count {
                guard let key = try? reader.readStringBytes() else { return nil }
                if key.elementsEqual(UnsafeRawBufferPointer(wanted)) { return reader }
                guard (try? reader.skipValue()) != nil else { return nil }
            }
            return nil
        }
    }

    /// A map header and the entries behind it.
    package static func map(of count: Int, _ entries: UnsafeRawBufferPointer) -> [UInt8] {
        let output = OutputBytes(capacity: entries.count + 8)
        output.writeMapHeader(count)
        output.append(entries)
        return [UInt8](output.bytes)
    }
}

extension Document: ExpressibleByDictionaryLiteral, CustomStringConvertible {
    public init(dictionaryLiteral elements: (String, DocumentValue)...) { self.init(elements) }

    /// JSON, with what JSON has no word for as docs/tools.md tells.
    public var description: String {
        bytes.withUnsafeBytes { raw in
            (try? MessagePackValue(decoding: raw)).map { JSONText.write($0) } ?? "(damaged document of \(raw.count) bytes)"
        }
    }
}
