/// What a node asks of its process before it starts: files for many connections, private files, no death by a closed pipe.

import Glibc
import NexaStorage

package enum ProcessSetup {
    package static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        raiseFileLimit()
    }

    /// Raises the soft limit of open files to the hard one and answers it.
    @discardableResult
    package static func raiseFileLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Makes the directories that lead to `path`, so that the engine can make the last one.
    package static func createDirectories(above path: String) throws(StartError) {
        var index = path.startIndex
        while let slash = path[index...].firstIndex(of: "/") {
            let parent = String(path[..<slash])
            index = path.index(after: slash)
            if parent.isEmpty || mkdir(parent, 0o700) == 0 || errno == EEXIST { continue }
            throw StartError("cannot make the directory \(parent): errno \(errno)")
        }
    }

    /// Refuses a directory into which a backup was only half restored: what is there of it is no store.
    package static func checkRestored(_ directory: String, _ fileSystem: any FileSystem) throws(StartError) {
        let path = StoreLayout(directory: directory).restoringPath
        guard fileSystem.exists(path) else { return }
        throw StartError("a backup was being restored into \(directory) and did not come to its end: restore it again (\(path))")
    }

    /// The whole of a small text file; nil when it cannot be read.
    package static func readFile(_ path: String, byteCountMax: Int = 1 << 20) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while content.count <= byteCountMax {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return String(validating: content, as: UTF8.self) }
            content.append(contentsOf: chunk[..<count])
        }
        return nil
    }

    /// A text without what follows its first line's end, which is `\n` or, from Windows, `\r\n`.
    package static func firstLine(of text: String) -> String {
        // By bytes: "\r\n" is one character.
        var line = text.utf8.prefix { $0 != UInt8(ascii: "\n") }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return String(Substring(line))
    }

    /// All environment variables.
    package static func environment() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let line = String(cString: text)
            if let equals = line.firstIndex(of: "=") {
                variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
            }
            entry += 1
        }
        return variables
    }
}
