// A MessagePack value as a tree of Swift values: for tools, tests and error details. Never on the path of a request: documents stay
// the bytes that the client sent.

/// A decoded MessagePack value. Map order is kept; ext and bin keep their bytes.
package indirect enum MessagePackValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Only for values above `Int64.max`; smaller ones decode as `int`, so that each integer has one form.
    case uint(UInt64)
    case float32(Float)
    case double(Double)
    case string(String)
    case binary([UInt8])
    case array([MessagePackValue])
    case map([Entry])
    case ext(Int8, [UInt8])

    /// One key and value of a map.
    package struct Entry: Sendable, Equatable {
        package var key: MessagePackValue
        package var value: MessagePackValue

        package init(key: MessagePackValue, value: MessagePackValue) {
            self.key = key
            self.value = value
        }

        package init(_ key: String, _ value: MessagePackValue) {
            self.init(key: .string(key), value: value)
        }
    }

    /// The value under `key` when this is a map that has it.
    package subscript(key: String) -> MessagePackValue? {
        guard case .map(let entries) = self else { return nil }
        return entries.first { $0.key == .string(key) }?.value
    }

    /// The element at `index` when this is an array that long.
    package subscript(index: Int) -> MessagePackValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    package var stringValue: String? { if case .string(let text) = self { text } else { nil } }
    package var boolValue: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    package var arrayValue: [MessagePackValue]? { if case .array(let elements) = self { elements } else { nil } }
    package var mapValue: [Entry]? { if case .map(let entries) = self { entries } else { nil } }
    package var intValue: Int64? { if case .int(let number) = self { number } else { nil } }
    /// Any number, rounded to a double.
    package var doubleValue: Double? {
        switch self {
        case .int(let number): Double(number)
        case .uint(let number): Double(number)
        case .float32(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }
}

extension MessagePackValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral elements: MessagePackValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, MessagePackValue)...) {
        self = .map(elements.map { Entry($0.0, $0.1) })
    }
}
