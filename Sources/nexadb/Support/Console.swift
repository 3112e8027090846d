import Glibc

/// Lines for people.
enum Console {
    /// "nexadb: ..." on stderr.
    static func complain(_ message: String) { note("nexadb: " + message) }

    /// A line on stderr, where it does not mix with results.
    static func note(_ message: String) { emit(message + "\n", to: 2) }

    /// A line on stdout. Written at once, so that it keeps its place between lines of stderr.
    static func say(_ message: String) { emit(message + "\n", to: 1) }

    /// Text without a line's end, on stderr.
    static func prompt(_ text: String) { emit(text, to: 2) }

    private static func emit(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                if count < 0 && errno != EINTR { return }
                done += max(0, count)
            }
        }
    }

    /// A line from the terminal that is not shown while it is typed; nil at the end of input.
    static func readSecret(_ text: String) -> String? {
        var settings = termios()
        let isTerminal = tcgetattr(0, &settings) == 0
        var silent = settings
        silent.c_lflag &= ~tcflag_t(ECHO)
        // Before the prompt: what is typed at it is a secret already.
        if isTerminal { tcsetattr(0, TCSAFLUSH, &silent) }
        prompt(text)
        defer {
            if isTerminal { tcsetattr(0, TCSAFLUSH, &settings) }
            note("")
        }
        return readLine()
    }

    static var isInputTerminal: Bool { isatty(0) == 1 }
    static var isErrorTerminal: Bool { isatty(2) == 1 }
    static var isOutputTerminal: Bool { isatty(1) == 1 }

    /// 1234567 as "1,234,567".
    static func grouped(_ number: UInt64) -> String {
        let digits = Array(String(number))
        return digits.enumerated().map { index, digit in
            index > 0 && (digits.count - index) % 3 == 0 ? ",\(digit)" : "\(digit)"
        }.joined()
    }

    /// With `places` decimals.
    static func fixed(_ number: Double, _ places: Int) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        _ = withVaList([number]) { vsnprintf(&buffer, buffer.count, "%.\(places)f", $0) }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// 1536 as "1.5 KiB".
    static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024 { return unit == "B" ? "\(count) B" : fixed(value, 1) + " " + unit }
            value /= 1024
        }
        return fixed(value, 1) + " TiB"
    }

    /// Pads on the left.
    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// Pads on the right.
    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
