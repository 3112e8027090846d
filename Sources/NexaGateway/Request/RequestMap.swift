/// The map in the body of a request, as MessagePack: fields are copied from it into the request to the node by name, never decoded. Where
/// they stand is found once, so that looking for one does not read what the others hold.

import NexaWire

struct RequestMap {
    /// More fields than any request has.
    private static let fieldCountMax = 64

    private let bytes: [UInt8]
    private let fields: [(name: Range<Int>, value: Range<Int>)]

    /// Without fields.
    init() { (bytes, fields) = ([], []) }

    /// `bytes` is one value.
    init(_ bytes: [UInt8]) throws(Problem) {
        var fields: [(name: Range<Int>, value: Range<Int>)] = []
        let count = bytes.withUnsafeBytes { bytes -> Int? in
            var reader = MessagePackReader(bytes)
            guard let count = try? reader.readMapHeader() else { return nil }
            for _ in 0..<min(count, Self.fieldCountMax) {
                guard let name = try? reader.readStringBytes() else { return nil }
                let nameEnd = reader.position
                guard (try? reader.skipValue()) != nil else { return nil }
                fields.append((nameEnd - name.count..<nameEnd, nameEnd..<reader.position))
            }
            return count
        }
        guard let count else { throw Problem(.badPayload, "The body is a JSON object") }
        guard count <= Self.fieldCountMax else {
            throw Problem(.badPayload, "The body has \(count) fields; no request has more than \(Self.fieldCountMax)")
        }
        self.bytes = bytes
        self.fields = fields
    }

    /// The value of the first of `names` that stands there and is not null.
    func value(_ names: StaticString...) -> [UInt8]? {
        bytes.withUnsafeBytes { bytes in
            for name in names {
                let field = fields.first { UnsafeRawBufferPointer(rebasing: bytes[$0.name]).equals(name) }
                if let value = field?.value, bytes[value.lowerBound] != 0xC0 { return Array(bytes[value]) }
            }
            return nil
        }
    }

    /// A whole number from 0 on.
    func count(_ names: StaticString...) throws(Problem) -> Int? {
        for name in names {
            guard let value = value(name) else { continue }
            let number = value.withUnsafeBytes { bytes -> Int64? in
                var reader = MessagePackReader(bytes)
                return try? reader.readInt64()
            }
            guard let number, number >= 0 else {
                throw Problem(
                    .badRequest, "'\(name)' is a whole number that is not negative", details: [.init("field", .string("\(name)"))]
                )
            }
            return Int(number)
        }
        return nil
    }

    func text(_ names: StaticString...) throws(Problem) -> String? {
        for name in names {
            guard let value = value(name) else { continue }
            let text = value.withUnsafeBytes { bytes -> String? in
                var reader = MessagePackReader(bytes)
                return try? reader.readString()
            }
            guard let text else {
                throw Problem(.badRequest, "'\(name)' is text", details: [.init("field", .string("\(name)"))])
            }
            return text
        }
        return nil
    }
}

extension NodeRequest {
    /// Copies the value of the first of `names` that `map` has, under the name that the node knows it by.
    mutating func add(_ field: StaticString, from map: RequestMap, _ names: StaticString...) {
        for name in names {
            guard let value = map.value(name) else { continue }
            value.withUnsafeBytes { add(field, raw: $0) }
            return
        }
    }
}

extension UnsafeRawBufferPointer {
    func equals(_ text: StaticString) -> Bool {
        elementsEqual(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
