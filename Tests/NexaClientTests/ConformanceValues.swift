import Foundation
import NexaClient
import NexaWire

// The values of clients/conformance/*.json: JSON, and maps of one key that begins with `$` where JSON has no word.

/// A file of the folder as a tree that keeps the order of entries.
func conformanceFile(_ name: String) throws -> [DocumentValue] {
    let text = try Data(contentsOf: ConnectionStringTests.conformance.appendingPathComponent(name))
    let packed = try text.withUnsafeBytes { try JSONParser.parse($0, depthMax: 1000) }
    let document = try Document(messagePack: [0x81, 0xA1, 0x76] + packed)
    return document["v"]?.arrayValue ?? []
}

/// The one entry of a map whose key begins with `$`.
private func word(_ value: DocumentValue) -> (name: String, DocumentValue)? {
    guard case .document(let document) = value, document.count == 1, let (name, inside) = document.entries.first,
        name.hasPrefix("$")
    else { return nil }
    return (name, inside)
}

/// `value` with its words spelled out; `saved` holds what earlier steps kept, `names` what `$c` and `$d` stand for.
func spelled(_ value: DocumentValue, _ saved: [String: DocumentValue], _ names: [String: String]) -> DocumentValue {
    if let (name, inside) = word(value) {
        switch name {
        case "$int":
            let text = inside.stringValue ?? ""
            return Int64(text).map { .int($0) } ?? .uint(UInt64(text)!)
        case "$float": return .double(inside.stringValue == "nan" ? .nan : Double(inside.stringValue!)!)
        case "$bin":
            let digits = Array(inside.stringValue!)
            return .binary(stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! })
        case "$vector": return .vector(inside.arrayValue!.map { Float($0.doubleValue!) })
        case "$repeat":
            let parts = inside.arrayValue!
            return .string(String(repeating: parts[0].stringValue!, count: parts[1].intValue!))
        case "$nest":
            return (0..<inside.intValue!).reduce(DocumentValue.int(1)) { inner, _ in .document(["m": inner]) }
        case "$documents": return .array((0..<inside.intValue!).map { .document(["n": .int(Int64($0))]) })
        case "$ref": return saved[inside.stringValue!] ?? .null
        default: break
        }
    }
    switch value {
    case .string(let text): return .string(names[text] ?? text)
    case .array(let elements): return .array(elements.map { spelled($0, saved, names) })
    case .document(let document): return .document(Document(document.entries.map { ($0, spelled($1, saved, names)) }))
    default: return value
    }
}

/// Whether `value` is what `expected`, spelled out, says.
func matches(_ value: DocumentValue?, _ expected: DocumentValue) -> Bool {
    if let (name, inside) = word(expected) {
        switch name {
        case "$any": return value != nil
        case "$absent": return value == nil
        case "$like":
            guard case .document(let document)? = value, case .document(let wanted) = inside else { return false }
            return wanted.entries.allSatisfy { matches(document[$0], $1) }
        case "$unordered":
            guard case .array(var rest)? = value, case .array(let wanted) = inside, rest.count == wanted.count else {
                return false
            }
            for element in wanted {
                guard let index = rest.firstIndex(where: { matches($0, element) }) else { return false }
                rest.remove(at: index)
            }
            return true
        case "$near": return value?.doubleValue.map { abs($0 - inside.doubleValue!) < 1e-5 } ?? false
        case "$count": return value?.arrayValue?.count == inside.intValue
        case "$contains":
            return inside.arrayValue!.allSatisfy { wanted in value?.arrayValue?.contains { matches($0, wanted) } ?? false }
        case "$lacks":
            return !inside.arrayValue!.contains { unwanted in value?.arrayValue?.contains { matches($0, unwanted) } ?? false }
        default: break
        }
    }
    switch (value, expected) {
    case (nil, .null): return true
    case (.double(let a)?, .double(let b)): return a.bitPattern == b.bitPattern || a.isNaN && b.isNaN
    case (.array(let a)?, .array(let b)): return a.count == b.count && zip(a, b).allSatisfy { matches($0, $1) }
    case (.document(let a)?, .document(let b)):
        return a.count == b.count && zip(a.entries, b.entries).allSatisfy { $0.0 == $1.0 && matches($0.1, $1.1) }
    case (let value?, let expected): return value == expected
    case (nil, _): return false
    }
}
