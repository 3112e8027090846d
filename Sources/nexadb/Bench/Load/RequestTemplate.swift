import Glibc
import NexaWire

/// Request bytes with the places that differ from one request to the next. Built once, with bytes of the right width in the
/// places; sending it is one memcpy and the patches. Lives as long as the process.
struct RequestTemplate: @unchecked Sendable {
    // Sendable: the memory is never written after `init`.
    private let bytes: UnsafeRawPointer
    let byteCount: Int
    private let patches: Patches

    /// Offsets of the places; nil where the request has none.
    struct Patches {
        var keyDigits: Int?
        var nameDigits: Int?
        var emailDigits: Int?
        /// Of the `op_id`: the id itself, which counts up as a client's counter does.
        var operationDigits: Int?
        var age: Int?
        /// One byte for a number below 128.
        var limit: Int?
    }

    /// Takes a copy of `bytes`. `age` is written as one byte plus `ageBase` (MessagePack's small integers: 0).
    init(_ bytes: [UInt8], _ patches: Patches) {
        let memory = malloc(max(1, bytes.count))!
        bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        self.bytes = UnsafeRawPointer(memory)
        byteCount = bytes.count
        self.patches = patches
    }

    /// Finds the places by the marker texts that the encoders put there.
    init(finding bytes: [UInt8], ageAt age: Int? = nil, limitAt limit: Int? = nil) {
        var patches = Patches(age: age, limit: limit)
        patches.keyDigits = Self.offset(of: Marker.key, in: bytes)
        patches.operationDigits = Self.offset(of: Marker.operation, in: bytes)
        let first = Self.offset(of: Marker.serial, in: bytes)
        patches.nameDigits = first
        if let first { patches.emailDigits = Self.offset(of: Marker.serial, in: bytes, from: first + Marker.serial.utf8.count) }
        self.init(bytes, patches)
    }

    @inline(__always)
    func write(to target: UnsafeMutableRawPointer, id: UInt64, age: UInt8, limit: UInt8) {
        memcpy(target, bytes, byteCount)
        if let offset = patches.keyDigits {
            BenchRecord.writeDigits(BenchRecord.keyNumber(of: id), count: BenchRecord.keyDigitCount, to: target + offset)
        }
        if let offset = patches.operationDigits {
            BenchRecord.writeDigits(id, count: BenchRecord.keyDigitCount, to: target + offset)
        }
        if let offset = patches.nameDigits {
            BenchRecord.writeDigits(BenchRecord.serial(of: id), count: BenchRecord.serialDigitCount, to: target + offset)
            if let copy = patches.emailDigits { memcpy(target + copy, target + offset, BenchRecord.serialDigitCount) }
        }
        if let offset = patches.age { target.storeBytes(of: age, toByteOffset: offset, as: UInt8.self) }
        if let offset = patches.limit { target.storeBytes(of: limit, toByteOffset: offset, as: UInt8.self) }
    }

    /// The user document with markers; its last byte is the age.
    static func document(withKey: Bool) -> MessagePackValue {
        let fields: [MessagePackValue.Entry] = [
            .init("name", .string("User " + Marker.serial)), .init("email", .string("user" + Marker.serial + "@example.com")),
            .init("age", 18),
        ]
        return .map((withKey ? [.init("_id", .string("user" + Marker.key))] : []) + fields)
    }

    /// Texts that stand in for digits while a template is built; no other part of a request contains them.
    enum Marker {
        static let key = "999999999999"
        static let serial = "888888888"
        static let operation = "777777777777"
    }

    private static func offset(of text: String, in bytes: [UInt8], from start: Int = 0) -> Int? {
        let wanted = Array(text.utf8)
        guard bytes.count >= wanted.count, start <= bytes.count - wanted.count else { return nil }
        return (start...(bytes.count - wanted.count)).first { at in bytes[at..<(at + wanted.count)].elementsEqual(wanted) }
    }
}
