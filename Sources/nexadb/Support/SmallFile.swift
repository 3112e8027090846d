import Glibc

/// Whole small files, for tools: scripts, configuration, /proc.
enum SmallFile {
    /// More than anybody writes by hand; a device that never ends is no reason to take all memory.
    static let byteCountMax = 64 << 20

    enum Failure: Error, CustomStringConvertible {
        case unreadable(String, errno: Int32)
        case tooLarge(String, byteCountMax: Int)

        var description: String {
            switch self {
            case .unreadable(let path, let number): "cannot read \(path): \(String(cString: strerror(number)))"
            case .tooLarge(let path, let most):
                "\(path) has more than \(Console.bytes(UInt64(most))), too much to be read at once"
            }
        }
    }

    /// The text of a file. Bytes that are not UTF-8 become replacement characters.
    static func read(_ path: String, byteCountMax: Int = byteCountMax) throws(Failure) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path, errno: errno) }
        defer { close(descriptor) }
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .unreadable(path, errno: errno) }
            if count == 0 { return String(decoding: result, as: UTF8.self) }
            result += chunk[..<count]
            guard result.count <= byteCountMax else { throw .tooLarge(path, byteCountMax: byteCountMax) }
        }
    }

    /// Writes or replaces a file; false when the system refuses.
    static func write(_ text: String, to path: String) -> Bool {
        guard let file = fopen(path, "w") else { return false }
        let isWritten = fputs(text, file) >= 0
        return fclose(file) == 0 && isWritten
    }
}
