/// Who a node says it is: an id that is drawn once and kept beside the data, and the version of this build.

import NexaStorage

package struct NodeIdentity: Sendable, Equatable {
    /// 16 hexadecimal digits.
    package var id: String
    package var version: String

    package init(id: String, version: String = NodeIdentity.currentVersion) {
        self.id = id
        self.version = version
    }

    package static let currentVersion = "0.1.0"
    static let fileName = "node-id"

    /// The id kept in `directory`; drawn and written when there is none or it cannot be read.
    package static func load(directory: String, fileSystem: any FileSystem) throws(StorageError) -> NodeIdentity {
        let path = "\(directory)/\(fileName)"
        if fileSystem.exists(path) {
            let file = try fileSystem.open(path, .read)
            defer { file.close() }
            var bytes = [UInt8](repeating: 0, count: 16)
            var span = bytes.mutableSpan
            let count = try span.withUnsafeMutableBytes { target throws(StorageError) in try file.read(into: target, at: 0) }
            if count == 16, bytes.allSatisfy(isHexDigit) { return NodeIdentity(id: String(decoding: bytes, as: UTF8.self)) }
            try fileSystem.remove(path)
        }
        let digits = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        let id = String(repeating: "0", count: 16 - digits.count) + digits
        let file = try fileSystem.open(path, .createNew)
        defer { file.close() }
        let line = Array((id + "\n").utf8)
        try line.span.withUnsafeBytes { source throws(StorageError) in try file.write(source, at: 0) }
        try file.sync()
        try fileSystem.syncDirectory(directory)
        return NodeIdentity(id: id)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }
}
