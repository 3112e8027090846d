/// The options that many requests share, read from the fields with the defaults of the connection.

import NexaDocuments
import NexaStorage
import NexaWire

typealias Bytes = UnsafeRawBufferPointer

extension RequestFields {
    /// Runs field access in a command: a wrong field is the client's BAD_REQUEST.
    @inline(__always)
    static func reading<R>(_ body: () throws(WireError) -> R) throws(DocumentError) -> R {
        do throws(WireError) { return try body() } catch { throw DocumentError(error) }
    }

    /// A non-negative whole number; nil when absent.
    func count(_ field: RequestField) throws(DocumentError) -> Int? {
        guard let value = try Self.reading({ () throws(WireError) in try int(field) }) else { return nil }
        guard value >= 0 else {
            throw DocumentError(
                .badRequest, "'\(field.name)' must not be negative", details: [.init("field", .string("\(field.name)"))])
        }
        return Int(value)
    }

    func flag(_ field: RequestField) throws(DocumentError) -> Bool? {
        guard has(field) else { return nil }
        return try Self.reading { () throws(WireError) in try bool(field) }
    }

    func text(_ field: RequestField) throws(DocumentError) -> Bytes? {
        try Self.reading { () throws(WireError) in try string(field) }
    }

    func mapBytes(_ field: RequestField) throws(DocumentError) -> Bytes? {
        try Self.reading { () throws(WireError) in try map(field) }
    }

    /// The durability of a write: the request's, or the node's.
    func durability(default value: Durability) throws(DocumentError) -> Durability {
        guard has(.durability), let text = try text(.durability) else { return value }
        if text.isEqual(to: "disk") { return .disk }
        if text.isEqual(to: "os") { return .os }
        throw DocumentError(.badRequest, "'durability' is \"disk\" or \"os\"", details: [.init("field", "durability")])
    }

    /// Some eleven days: who gives a request more time than that gives it any.
    static let timeMillisecondsMax = 1_000_000_000

    /// When the request has to be given up, in `MonotonicTime`; nil: never. Its time runs from `start`, which is now unless it waited before.
    func deadline(limit: TimeLimit, from start: UInt64) throws(DocumentError) -> UInt64? {
        let own = try count(.timeoutMilliseconds)
        let milliseconds: Int
        switch (own, limit.isOff) {
        case (nil, true), (0?, true): return nil
        case (nil, false), (0?, false): milliseconds = limit.milliseconds
        case (let own?, true): milliseconds = own
        case (let own?, false): milliseconds = min(own, limit.milliseconds)
        }
        return (start > 0 ? start : MonotonicTime.nanoseconds()) &+ UInt64(min(milliseconds, Self.timeMillisecondsMax))
            &* 1_000_000
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `text`.
    @inline(__always)
    func isEqual(to text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }
}
