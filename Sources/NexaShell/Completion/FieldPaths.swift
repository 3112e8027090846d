import NexaWire

/// The paths of fields in some documents, for completion: dotted, as filters write them.
package enum FieldPaths {
    private static let depthMax = 3
    private static let countMax = 500

    /// In the order in which they come, each once.
    package static func of(_ documents: [MessagePackValue]) -> [String] {
        var seen: Set<String> = []
        var paths: [String] = []
        func walk(_ value: MessagePackValue, _ prefix: String, _ depth: Int) {
            switch value {
            case .map(let entries) where depth < depthMax:
                for entry in entries {
                    guard paths.count < countMax, let name = entry.key.stringValue, isPlain(name) else { continue }
                    let path = prefix + name
                    if seen.insert(path).inserted { paths.append(path) }
                    walk(entry.value, path + ".", depth + 1)
                }
            // A path enters every map in an array: the first ones tell enough.
            case .array(let elements) where depth < depthMax: for element in elements.prefix(3) { walk(element, prefix, depth) }
            default: break
            }
        }
        for document in documents { walk(document, "", 0) }
        return paths
    }

    /// Whether a key can be typed without quotes; others are not offered.
    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "_"), 0x80...:
                    true
                default: false
                }
            }
    }
}
