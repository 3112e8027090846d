/// Merges the three sources of settings: flags win over `NEXADB_*` variables, which win over the file.
///
/// The file holds `name = value` lines; `#` starts a comment; blank lines and quotes around a value are allowed.
/// A name that is not in `Setting.all`, in any source, is an error: a misspelled limit must not be silently absent.

import Glibc

package enum ConfigurationSources {
    /// - Parameters:
    ///   - flags: name and text, in the order given.
    ///   - environment: all variables of the process; those beginning with `NEXADB_` are settings.
    ///   - file: path and content of the configuration file.
    package static func merge(
        flags: [(name: String, text: String)], environment: [String: String], file: (path: String, content: String)?
    ) throws(ConfigurationError) -> ServerConfiguration {
        var configuration = ServerConfiguration()
        if let file {
            for line in try parse(file.content, path: file.path) {
                try line.setting.apply(line.text, to: &configuration, source: "\(file.path):\(line.number)")
            }
        }
        for (variable, text) in environment.sorted(by: { $0.key < $1.key })
        where variable.hasPrefix("NEXADB_") && !otherVariables.contains(variable) {
            guard let setting = Setting.all.first(where: { $0.variable == variable }) else {
                throw ConfigurationError(
                    "environment: there is no setting \(variable)\(suggestion(for: variable, in: \.variable))")
            }
            try setting.apply(text, to: &configuration, source: "environment \(variable)")
        }
        for flag in flags {
            guard let setting = Setting.named(flag.name) else {
                throw ConfigurationError("there is no flag --\(flag.name)\(suggestion(for: flag.name, in: \.name))")
            }
            try setting.apply(flag.text, to: &configuration, source: "--\(flag.name)")
        }
        try configuration.validate()
        return configuration
    }

    /// Names the configuration file itself, in place of `--config`.
    package static let configVariable = "NEXADB_CONFIG"

    /// Variables that are no settings of a node: the file's name, and what only the tools read.
    private static let otherVariables: Set<String> = [
        configVariable, "NEXADB_USER", "NEXADB_PASSWORD", "NEXADB_TLS", "NEXADB_TLS_AUTHORITY",
    ]

    /// All settings as a file that `merge` reads back.
    package static func print(_ configuration: ServerConfiguration) -> String {
        let width = Setting.all.map(\.name.count).max() ?? 0
        return Setting.all.map { setting in
            "\(setting.name)\(String(repeating: " ", count: width - setting.name.count)) = \(setting.text(in: configuration))\n"
        }.joined()
    }

    private static func parse(
        _ content: String, path: String
    ) throws(ConfigurationError) -> [(number: Int, setting: Setting, text: String)] {
        var rows: [(number: Int, setting: Setting, text: String)] = []
        for (index, rawLine) in content.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = trim(withoutComment(rawLine))
            if line.isEmpty { continue }
            guard let equals = line.firstIndex(of: "=") else {
                throw ConfigurationError("\(path):\(index + 1): expected 'name = value'")
            }
            let name = String(trim(line[..<equals]))
            var text = trim(line[line.index(after: equals)...])
            if text.count >= 2, text.first == "\"", text.last == "\"" { text = text.dropFirst().dropLast() }
            guard let setting = Setting.named(name) else {
                throw ConfigurationError(
                    "\(path):\(index + 1): there is no setting '\(name)'\(suggestion(for: name, in: \.name))")
            }
            rows.append((index + 1, setting, String(text)))
        }
        return rows
    }

    /// A comment begins at a `#` at the start of a line or after a blank, so that a path may hold one.
    private static func withoutComment(_ line: Substring) -> Substring {
        var previous: Character = " "
        for index in line.indices {
            if line[index] == "#", previous.isWhitespace { return line[..<index] }
            previous = line[index]
        }
        return line
    }

    private static func trim(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }

    /// ` (did you mean …?)` when one known name is at most two edits away.
    private static func suggestion(for name: String, in spelling: (Setting) -> String) -> String {
        let near = Setting.all.map { (editDistance(name, spelling($0)), spelling($0)) }.min { $0.0 < $1.0 }
        guard let near, near.0 <= 2 else { return "" }
        return " (did you mean \(near.1)?)"
    }

    private static func editDistance(_ a: String, _ b: String) -> Int {
        let a = Array(a.utf8)
        let b = Array(b.utf8)
        var row = Array(0...b.count)
        for i in 0..<a.count {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<b.count {
                let cost = min(row[j] + 1, row[j + 1] + 1, diagonal + (a[i] == b[j] ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[b.count]
    }
}
