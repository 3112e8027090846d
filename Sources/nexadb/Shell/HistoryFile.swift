import Glibc

/// The statements of earlier sessions, one a line, in a file that only its owner may read.
///
/// Every statement is appended at once, so that shells side by side keep each other's; a file that grew long is cut to the newest when a
/// shell begins. Nothing about the history is worth an error: what fails is left.
struct HistoryFile {
    static let lineCountMax = 1000

    private let path: String?
    private(set) var lines: [String] = []

    /// NEXADB_HISTORY names the file (empty: none), else it is `.nexadb_history` in the home directory.
    init() {
        let named = NodeOptions.environment("NEXADB_HISTORY") ?? NodeOptions.environment("HOME").map { $0 + "/.nexadb_history" }
        path = named.flatMap { Self.mayBeHistory($0) ? $0 : nil }
        guard let path, let text = try? SmallFile.read(path) else { return }
        let all = text.split(separator: "\n").map(String.init)
        lines = all.suffix(Self.lineCountMax)
        if all.count > 2 * Self.lineCountMax { shorten(path) }
    }

    mutating func append(_ line: String) {
        guard let path, line != lines.last else { return }
        lines.append(line)
        Self.write(line + "\n", to: path, O_APPEND)
    }

    /// A file, or nothing yet: /dev/null and the like have no history, and keep their rights.
    private static func mayBeHistory(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return !path.isEmpty }
        return status.st_mode & S_IFMT == S_IFREG
    }

    private func shorten(_ path: String) {
        let new = path + ".new"
        if Self.write(lines.joined(separator: "\n") + "\n", to: new, O_TRUNC) { rename(new, path) }
    }

    @discardableResult
    private static func write(_ text: String, to path: String, _ how: Int32) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // One that somebody else made may be open to others.
        guard fchmod(descriptor, 0o600) == 0 else { return false }
        return Descriptor.write(text, to: descriptor) == nil
    }
}
