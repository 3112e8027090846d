import Glibc

/// A folder with all that is in it.
enum FileTree {
    /// Removes it; what cannot be removed is left. Links are not followed.
    static func remove(_ path: String) {
        if let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = FileNames.name(of: entry)
                guard name != ".", name != ".." else { continue }
                let inner = path + "/" + name
                if unlink(inner) != 0 { remove(inner) }
            }
            closedir(stream)
        }
        rmdir(path)
    }
}
