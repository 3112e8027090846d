// The gate of the house: every payload is checked here once, and everything behind it may rely on it: one whole value, lengths that
// hold, nesting of at most 100, UTF-8 strings, string map keys, no key twice. The scan runs in C; the place of a fault is turned into
// a document path only when there is a fault.

import CSupport

/// Deepest nesting of arrays and maps in a payload.
package let nestingDepthMax = 100

/// The verdict on a payload.
package struct PayloadStatus: Sendable, Equatable {
    package enum Fault: Sendable, Equatable {
        case truncated, trailingBytes, tooDeep, notUTF8, keyNotString, duplicateKey, reservedByte, badTimestamp, noMemory
    }
    /// nil when the payload is good.
    package var fault: Fault?
    /// Where the fault is, from the start of the payload.
    package var byteOffset: Int
    /// The document path of the fault (`data.items.3.name`), empty for the payload itself.
    package var path: String

    package var isValid: Bool { fault == nil }

    /// The fault as an answer, nil when the payload is good.
    package var error: WireError? {
        guard let fault else { return nil }
        let what =
            switch fault {
            case .truncated: "ends before its announced length"
            case .trailingBytes: "is followed by bytes that belong to no value"
            case .tooDeep: "is nested deeper than \(nestingDepthMax)"
            case .notUTF8: "is a string that is not UTF-8"
            case .keyNotString: "is a map with a key that is not a string"
            case .duplicateKey: "stands twice in its map"
            case .reservedByte: "is byte c1, which MessagePack never uses"
            case .badTimestamp: "is an ext of type -1 that is not a timestamp"
            case .noMemory: "is too large to check"
            }
        let place = path.isEmpty ? "the payload" : "'\(path)'"
        return WireError(
            fault == .noMemory ? .overloaded : .badPayload, "Bad payload: \(place) \(what) (byte \(byteOffset))",
            details: [.init("path", .string(path)), .init("offset", .int(Int64(byteOffset)))])
    }
}

/// Spreads the keys of large maps, so that nobody can send keys that collide.
private let keyHashSeed = UInt64.random(in: .min ... .max)

/// Whether `payload` is exactly one good MessagePack value. No allocation when it is (maps above 32 keys take a scratch table).
@inline(__always)
package func payloadIsValid(_ payload: UnsafeRawBufferPointer, depthMax: Int = nestingDepthMax) -> Bool {
    var offset = 0
    return nexa_mp_validate(payload.baseAddress, payload.count, UInt32(depthMax), keyHashSeed, &offset) == NEXA_MP_OK
}

/// Checks that `payload` is exactly one good MessagePack value and says what is wrong and where if not.
package func validate(_ payload: UnsafeRawBufferPointer, depthMax: Int = nestingDepthMax) -> PayloadStatus {
    var offset = 0
    let status = nexa_mp_validate(payload.baseAddress, payload.count, UInt32(depthMax), keyHashSeed, &offset)
    let fault: PayloadStatus.Fault
    switch status {
    case NEXA_MP_OK: return PayloadStatus(fault: nil, byteOffset: 0, path: "")
    case NEXA_MP_TRAILING: fault = .trailingBytes
    case NEXA_MP_TOO_DEEP: fault = .tooDeep
    case NEXA_MP_NOT_UTF8: fault = .notUTF8
    case NEXA_MP_KEY_NOT_STRING: fault = .keyNotString
    case NEXA_MP_DUPLICATE_KEY: fault = .duplicateKey
    case NEXA_MP_RESERVED: fault = .reservedByte
    case NEXA_MP_BAD_TIMESTAMP: fault = .badTimestamp
    case NEXA_MP_NO_MEMORY: fault = .noMemory
    default: fault = .truncated
    }
    return PayloadStatus(fault: fault, byteOffset: offset, path: documentPath(ofByte: offset, in: payload))
}
