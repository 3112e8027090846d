/// Why text could not be read, and where.
package struct TextProblem: Error, Equatable, CustomStringConvertible {
    package let message: String
    /// Offset in the UTF-8 bytes of the text.
    package let offset: Int

    package init(message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    /// What a node says of `word`, when the text has it in one place; nil otherwise.
    package init?(message: String, about word: String, in text: String) {
        let (bytes, word) = (Array(text.utf8), Array(word.utf8))
        guard !word.isEmpty, bytes.count >= word.count else { return nil }
        let places = (0...(bytes.count - word.count)).filter { bytes[$0..<($0 + word.count)].elementsEqual(word) }
        guard places.count == 1 else { return nil }
        self.init(message: message, offset: places[0])
    }

    package var description: String { message }

    /// The line of `text` with a mark under the place.
    package func pointing(into text: String) -> String {
        let bytes = Array(text.utf8)
        let at = min(offset, bytes.count)
        let start = bytes[..<at].lastIndex(of: 10).map { $0 + 1 } ?? 0
        let end = bytes[at...].firstIndex(of: 10) ?? bytes.count
        let line = String(decoding: bytes[start..<end], as: UTF8.self)
        let before = TerminalText.visible(String(decoding: bytes[start..<at], as: UTF8.self))
        let column = TextWidth.columns(of: before)
        return "\(TerminalText.visible(line))\n\(String(repeating: " ", count: column))^ \(message)"
    }
}
