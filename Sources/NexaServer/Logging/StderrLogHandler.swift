/// Log lines on standard error, one `write` each, as text for people or JSON for collectors.
///
///     2026-11-22T21:43:00.123Z INFO     listening  address=127.0.0.1:6970
///     {"time":"2026-11-22T21:43:00.123Z","level":"info","message":"listening","address":"127.0.0.1:6970"}
///
/// Control characters never reach the terminal or the collector as they are: text that came from a peer cannot forge a
/// line. Cost: one allocation and one system call a line; nothing on a request's path logs above `debug`.

import Glibc
import Logging

package struct StderrLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    private let format: LogFormat
    private let fileDescriptor: Int32

    package init(threshold: LogThreshold, format: LogFormat, fileDescriptor: Int32 = STDERR_FILENO) {
        self.logLevel = Logger.Level(rawValue: threshold.rawValue) ?? .info
        self.format = format
        self.fileDescriptor = fileDescriptor
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let message = event.message.description + (event.error.map { ": \($0)" } ?? "")
        var line: String
        switch format {
        case .text: line = Self.textLine(time: TimeOfDay.now(), level: event.level, message: message, fields: fields)
        case .json: line = Self.jsonLine(time: TimeOfDay.now(), level: event.level, message: message, fields: fields)
        }
        line.withUTF8 { bytes in
            // A full pipe or closed terminal must not stop the node: a line that cannot be written is lost.
            _ = write(fileDescriptor, bytes.baseAddress, bytes.count)
        }
    }

    package static func textLine(
        time: TimeOfDay, level: Logger.Level, message: String, fields: [(key: String, value: Logger.Metadata.Value)]
    ) -> String {
        let name = level.rawValue.uppercased()
        var line =
            "\(time.text) \(name)\(String(repeating: " ", count: max(1, 9 - name.count)))\(escaped(message, quotes: false))"
        for (key, value) in fields {
            let text = escaped("\(value)", quotes: true)
            line += "  \(key)=" + (text.contains(" ") || text.isEmpty ? "\"\(text)\"" : text)
        }
        return line + "\n"
    }

    package static func jsonLine(
        time: TimeOfDay, level: Logger.Level, message: String, fields: [(key: String, value: Logger.Metadata.Value)]
    ) -> String {
        var line = "{\"time\":\"\(time.text)\",\"level\":\"\(level.rawValue)\",\"message\":\"\(escaped(message, quotes: true))\""
        for (key, value) in fields {
            line += ",\"\(escaped(key, quotes: true))\":\"\(escaped("\(value)", quotes: true))\""
        }
        return line + "}\n"
    }

    /// `text` with control characters, backslashes and (on request) double quotes as JSON escapes.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\\": result += "\\\\"
            case "\"" where quotes: result += "\\\""
            default:
                if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result
    }
}
