/// How many columns of a terminal a text takes: none for combining marks, two for the wide letters of East Asia and for emoji.
package enum TextWidth {
    package static func columns(of text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + columns(of: $1) }
    }

    /// `text` in exactly `width` columns: filled up with spaces in front or behind, or cut with an ellipsis.
    package static func fit(_ text: String, _ width: Int, isRight: Bool = false) -> String {
        let own = columns(of: text)
        if own <= width {
            let space = String(repeating: " ", count: width - own)
            return isRight ? space + text : text + space
        }
        var (cut, used) = ("", 0)
        for character in text {
            let more = columns(of: character)
            // One column is for the ellipsis.
            if used + more > width - 1 { break }
            cut.append(character)
            used += more
        }
        return cut + "…" + String(repeating: " ", count: max(0, width - 1 - used))
    }

    /// What a person sees as one character is as wide as its base; the selector of emoji makes it wide.
    private static func columns(of character: Character) -> Int {
        let scalars = character.unicodeScalars
        let base = scalars[scalars.startIndex]
        if isWide(base) || scalars.contains("\u{FE0F}") { return 2 }
        switch base.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: return 1
        }
    }

    /// Unicode's East Asian Width W and F, in ranges: https://www.unicode.org/reports/tr11/
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case ..<0x1100: false
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
            0xF900...0xFAFF,
            0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18CFF, 0x1AFF0...0x1B2FF,
            0x1F200...0x1F2FF, 0x20000...0x3FFFD:
            true
        default: scalar.properties.isEmojiPresentation
        }
    }
}
