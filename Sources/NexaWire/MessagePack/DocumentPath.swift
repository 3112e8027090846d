// From a byte offset to the path of the value that holds it: one walk over the tokens in front of it, on failure only.

/// The dotted path of the value or key at `offset`; everything before `offset` must be well formed. Cut to 200 characters, control
/// characters replaced, so that it can stand in an error text and a log line.
package func documentPath(ofByte offset: Int, in payload: UnsafeRawBufferPointer) -> String {
    struct Level {
        var remaining: Int
        var isMap: Bool
        /// Index of the element in hand, for arrays.
        var index = -1
        /// Text of the key in hand, for maps.
        var key: UnsafeRawBufferPointer?
    }
    var reader = MessagePackReader(payload)
    var levels: [Level] = []
    do throws(MessagePackError) {
        while true {
            // Step to the next element of the innermost open container.
            while let last = levels.last, last.remaining == 0 { levels.removeLast() }
            if !levels.isEmpty {
                let top = levels.count - 1
                levels[top].remaining -= 1
                levels[top].index += 1
                if levels[top].isMap {
                    levels[top].key = nil
                    guard reader.nextKind == .string else { break }
                    levels[top].key = try reader.readStringBytes()
                    if reader.position > offset { break }
                }
            } else if reader.position > 0 {
                break
            }
            if reader.position >= offset { break }
            switch reader.nextKind {
            case .array: levels.append(Level(remaining: try reader.readArrayHeader(), isMap: false))
            case .map: levels.append(Level(remaining: try reader.readMapHeader(), isMap: true))
            default:
                try reader.skipValue()
                if reader.position > offset { break }
                continue
            }
            if reader.position > offset { break }
        }
    } catch {
        // The walk ran into the fault itself: the path so far is the answer.
    }
    let parts = levels.compactMap { level in
        level.isMap ? level.key.map { String(decoding: $0, as: UTF8.self) } : (level.index >= 0 ? String(level.index) : nil)
    }
    return printable(parts.joined(separator: "."), characterCountMax: 200)
}

/// `text` without control characters and not longer than `characterCountMax`: for error messages that quote a client's names.
package func printable(_ text: String, characterCountMax: Int) -> String {
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
        if count == characterCountMax { return result + "..." }
        let isControl = scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
        result.unicodeScalars.append(isControl ? "?" : scalar)
        count += 1
    }
    return result
}
