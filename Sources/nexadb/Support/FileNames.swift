import Glibc

/// Names in folders.
enum FileNames {
    private static let countMax = 1000

    /// Paths that go on with `typed`, spelt as it is; those of folders end in a slash. Hidden ones only where their dot was typed.
    static func beginning(with typed: String) -> [String] {
        let slash = typed.lastIndex(of: "/").map { typed.index(after: $0) } ?? typed.startIndex
        let (folder, begin) = (String(typed[..<slash]), String(typed[slash...]))
        guard let stream = opendir(folder.isEmpty ? "." : folder) else { return [] }
        defer { closedir(stream) }
        var paths: [String] = []
        while paths.count < countMax, let entry = readdir(stream) {
            let name = name(of: entry)
            guard name.hasPrefix(begin), name != ".", name != "..", begin.hasPrefix(".") || !name.hasPrefix(".") else { continue }
            var status = stat()
            let isFolder = stat(folder + name, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
            paths.append(folder + name + (isFolder ? "/" : ""))
        }
        return paths
    }

    static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
        withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
    }
}
