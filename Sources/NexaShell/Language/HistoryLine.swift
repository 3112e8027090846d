/// A statement as the history keeps it: on one line, and only when there is no secret in it.
package enum HistoryLine {
    /// Longer statements are scripts, not something to edit again.
    private static let byteCountMax = 16 << 10

    /// Nil for what is not kept: nothing, too much, or a password.
    package static func of(_ statement: String) -> String? {
        guard statement.utf8.count <= byteCountMax, statement.contains(where: { !$0.isWhitespace }), !holdsSecret(statement)
        else {
            return nil
        }
        return statement.contains(where: \.isNewline) ? joined(statement) : statement
    }

    private static func holdsSecret(_ statement: String) -> Bool {
        let text = statement.lowercased()
        return ["password", "api_key"].contains { text.contains($0) }
    }

    /// The lines as one, with the same meaning: without comments, which would swallow what follows, and with the ends of lines inside of
    /// texts as escapes.
    private static func joined(_ statement: String) -> String {
        var scanner = RelaxedJSON(statement)
        var result: [UInt8] = []
        while true {
            let before = scanner.position
            scanner.skipSpace()
            if scanner.position > before { result.append(32) }
            guard let byte = scanner.next else { break }
            let start = scanner.position
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'"), (try? scanner.quoted()) != nil {
                for byte in scanner.bytes[start..<scanner.position] { result += byte == 10 ? Array("\\n".utf8) : [byte] }
            } else {
                result.append(byte)
                scanner.position = start + 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
