import ArgumentParser
import CTerminal
import Glibc
import NexaShell

/// Lines for people and, on stdout, for other programs. What a terminal gets cannot command it, wherever the text comes from.
enum Console {
    /// "nexadb: ..." on stderr.
    static func complain(_ message: String) { note("nexadb: " + message) }

    /// A line on stderr, where it does not mix with results.
    static func note(_ message: String) { prompt(TerminalText.visible(message, keepsLineEnds: true) + "\n") }

    /// A line on stdout. Written at once, so that it keeps its place between lines of stderr. Where that fails, results would be missing
    /// without anybody knowing: then the process ends.
    static func say(_ message: String, end: String = "\n") {
        let text = isOutputTerminal ? TerminalText.visible(message, keepsLineEnds: true) : message
        guard let number = Descriptor.write(text + end, to: 1) else { return }
        complain("cannot write the output: \(String(cString: strerror(number)))")
        exit(ToolExit.failed.rawValue)
    }

    /// Text without a line's end, as it is, on stderr. There is nobody to tell that it was not written.
    static func prompt(_ text: String) { _ = Descriptor.write(text, to: 2) }

    /// A line from the terminal that is not shown while it is typed; nil at the end of input. Ctrl-C ends the process, and leaves a
    /// terminal that shows what is typed.
    static func readSecret(_ text: String) -> String? {
        var settings = termios()
        guard tcgetattr(0, &settings) == 0 else {
            prompt(text)
            return Swift.readLine()
        }
        var silent = settings
        silent.c_lflag &= ~tcflag_t(ECHO | ISIG)
        // Ctrl-C ends the line, as a character of it.
        withUnsafeMutableBytes(of: &silent.c_cc) { $0[Int(VEOL)] = interrupt }
        nexa_terminal_keep()
        defer { nexa_terminal_forget() }
        // Before the prompt: what is typed at it is a secret already.
        tcsetattr(0, TCSAFLUSH, &silent)
        prompt(text)
        var bytes: [UInt8] = []
        let end = readLine(into: &bytes)
        tcsetattr(0, TCSAFLUSH, &settings)
        note("")
        if end == interrupt { HeldSignals.end(by: SIGINT) }
        return end == nil && bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    private static let interrupt: UInt8 = 3

    /// A line as the terminal gives it, not the buffer of standard input, which waits for a line's end; the byte that ended it, nil: none.
    private static func readLine(into bytes: inout [UInt8]) -> UInt8? {
        var byte: UInt8 = 0
        while true {
            let count = read(0, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            guard count == 1 else { return nil }
            if byte == UInt8(ascii: "\n") || byte == interrupt { return byte }
            bytes.append(byte)
        }
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
