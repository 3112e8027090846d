// Reading and writing the maps of control messages. They are rare, so they go through the value tree: short code, one place for limits.

import NexaStorage
import NexaWire

/// The fields of a control message that was received.
struct ControlFields {
    private let value: MessagePackValue

    init(_ payload: UnsafeRawBufferPointer) throws(MessageError) {
        guard payload.count <= replicationControlByteCountMax else { throw .badField("payload") }
        guard !payload.isEmpty else {
            value = .map([])
            return
        }
        do throws(MessagePackError) { value = try MessagePackValue(decoding: payload) } catch { throw .malformed(error) }
        guard case .map = value else { throw .malformed(MessagePackError(.wrongType, at: 0)) }
    }

    init(_ value: MessagePackValue, in field: String) throws(MessageError) {
        guard case .map = value else { throw .badField(field) }
        self.value = value
    }

    /// The value under `name`; nil counts as absent.
    func optional(_ name: String) -> MessagePackValue? {
        guard let found = value[name], found != .null else { return nil }
        return found
    }

    func required(_ name: String) throws(MessageError) -> MessagePackValue {
        guard let found = optional(name) else { throw .missing(field: name) }
        return found
    }

    func uint(_ name: String) throws(MessageError) -> UInt64 {
        guard let number = try required(name).uintValue else { throw .badField(name) }
        return number
    }

    func uint(_ name: String, default fallback: UInt64) throws(MessageError) -> UInt64 {
        optional(name) == nil ? fallback : try uint(name)
    }

    func optionalUInt(_ name: String) throws(MessageError) -> UInt64? { optional(name) == nil ? nil : try uint(name) }

    func int(_ name: String, default fallback: Int, max limit: Int) throws(MessageError) -> Int {
        let number = try uint(name, default: UInt64(fallback))
        guard number <= UInt64(limit) else { throw .badField(name) }
        return Int(number)
    }

    func flag(_ name: String) throws(MessageError) -> Bool {
        guard let found = optional(name) else { return false }
        guard let flag = found.boolValue else { throw .badField(name) }
        return flag
    }

    func text(_ name: String, byteCountMax: Int = 255) throws(MessageError) -> String {
        guard let text = try required(name).stringValue, text.utf8.count <= byteCountMax else { throw .badField(name) }
        return text
    }

    func optionalText(_ name: String, byteCountMax: Int = 255) throws(MessageError) -> String? {
        optional(name) == nil ? nil : try text(name, byteCountMax: byteCountMax)
    }

    func binary(_ name: String, byteCount: Int) throws(MessageError) -> [UInt8] {
        guard case .binary(let bytes) = try required(name), bytes.count == byteCount else { throw .badField(name) }
        return bytes
    }

    func array(_ name: String, countMax: Int) throws(MessageError) -> [MessagePackValue] {
        guard let found = optional(name) else { return [] }
        guard let elements = found.arrayValue else { throw .badField(name) }
        guard elements.count <= countMax else { throw .tooMany(field: name, limit: countMax) }
        return elements
    }

    /// An array whose elements are arrays of `width` unsigned numbers.
    func rows(_ name: String, width: Int, countMax: Int) throws(MessageError) -> [[UInt64]] {
        var rows: [[UInt64]] = []
        for element in try array(name, countMax: countMax) {
            guard let numbers = element.arrayValue?.map(\.uintValue), numbers.count == width else { throw .badField(name) }
            var row: [UInt64] = []
            for number in numbers {
                guard let number else { throw .badField(name) }
                row.append(number)
            }
            rows.append(row)
        }
        return rows
    }

    func position(_ name: String) throws(MessageError) -> LogPosition {
        guard let pair = try required(name).arrayValue, pair.count == 2, let epoch = pair[0].uintValue,
            let lsn = pair[1].uintValue
        else { throw .badField(name) }
        return LogPosition(epoch: epoch, lsn: lsn)
    }

    func history(_ name: String) throws(MessageError) -> EpochHistory {
        let rows = try rows(name, width: 2, countMax: EpochHistory.entryCountMax)
        guard let history = EpochHistory(rows.map { EpochStart(epoch: $0[0], firstLSN: $0[1]) }) else { throw .badField(name) }
        return history
    }

    func node(_ name: String) throws(MessageError) -> NodeID { NodeID(rawValue: try uint(name)) }
    func optionalNode(_ name: String) throws(MessageError) -> NodeID? { try optionalUInt(name).map { NodeID(rawValue: $0) } }

    func nodes(_ name: String, countMax: Int) throws(MessageError) -> [NodeID] {
        var nodes: [NodeID] = []
        for element in try array(name, countMax: countMax) {
            guard let number = element.uintValue else { throw .badField(name) }
            nodes.append(NodeID(rawValue: number))
        }
        return nodes
    }

    func cluster(_ name: String) throws(MessageError) -> ClusterID {
        let bytes = try binary(name, byteCount: 16)
        func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        return ClusterID(high: number(0..<8), low: number(8..<16))
    }
}

extension MessagePackValue {
    /// A non-negative integer.
    var uintValue: UInt64? {
        switch self {
        case .int(let number): UInt64(exactly: number)
        case .uint(let number): number
        default: nil
        }
    }

    static func number(_ value: UInt64) -> MessagePackValue { Int64(exactly: value).map { .int($0) } ?? .uint(value) }
    static func number(_ value: Int) -> MessagePackValue { .int(Int64(value)) }
    static func node(_ id: NodeID) -> MessagePackValue { .number(id.rawValue) }
    static func position(_ value: LogPosition) -> MessagePackValue { .array([.number(value.epoch), .number(value.lsn)]) }

    static func history(_ value: EpochHistory) -> MessagePackValue {
        .array(value.entries.map { .array([.number($0.epoch), .number($0.firstLSN)]) })
    }

    static func cluster(_ id: ClusterID) -> MessagePackValue {
        .binary([id.high, id.low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } })
    }

    /// A map without the entries whose value is null.
    static func fields(_ entries: [(String, MessagePackValue?)]) -> MessagePackValue {
        .map(entries.compactMap { name, value in value.map { Entry(name, $0) } })
    }
}
