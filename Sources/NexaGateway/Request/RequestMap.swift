/// The map in the body of a request, as MessagePack: fields are copied from it into the request to the node by name, never decoded.

import NexaWire

struct RequestMap {
    /// The map's bytes.
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The value of the first of `names` that stands there and is not null.
    func value(_ names: StaticString...) -> [UInt8]? {
        for name in names {
            var found: [UInt8]?
            forEach { field, value in
                if field.equals(name) && value.first != 0xC0 { found = Array(value) }
            }
            if let found { return found }
        }
        return nil
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

    private func forEach(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        bytes.withUnsafeBytes { bytes in
            var reader = MessagePackReader(bytes)
            let count = (try? reader.readMapHeader()) ?? 0
            for _ in 0..<count {
                guard let name = try? reader.readStringBytes(), let value = try? reader.readRawValue() else { return }
                body(name, value)
            }
        }
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
