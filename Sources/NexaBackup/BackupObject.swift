import CSupport
import NexaStorage

/// A file's content in a repository, called by what it is and not by what a store calls it: `objects/<2 digits>/<digest>-<bytes>`. Files of
/// different backups with the same content are one object.
///
/// A table's digest pins every byte of it and is seeded with a random number of that table, so two tables never share one.
struct BackupObject: Hashable, Sendable {
    let digest: UInt64
    let byteCount: UInt64
    let isTable: Bool

    init(_ file: CheckpointManifest.File) {
        digest = file.digest
        byteCount = file.byteCount
        isTable = StoreLayout.tableNumber(file.name) != nil
    }

    var name: String { "\(Hex.string(digest))-\(byteCount)\(isTable ? ".sst" : "")" }
    var folder: String { String(Hex.string(digest).prefix(2)) }

    /// Whether objects lie in a folder of that name; others are not ours.
    static func isFolder(_ name: String) -> Bool { name.utf8.count == 2 && UInt8(name, radix: 16) != nil }

    /// How the bytes at `path` differ from what they should be; nil when they do not. Reads all of them.
    func mismatch(at path: String, _ fileSystem: any FileSystem) throws(StorageError) -> String? {
        guard fileSystem.exists(path) else { return "it is missing" }
        let found = try fileSystem.byteCount(of: path)
        guard found == byteCount else { return "it has \(found) bytes and should have \(byteCount)" }
        if !isTable {
            let bytes = try fileSystem.readAll(path)
            let hash = bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
            return hash == digest ? nil : "its digest is not the one it should have"
        }
        do throws(StorageError) {
            let table = try TableReader.open(path: path, fileSystem: fileSystem, cache: BlockCache(capacity: 1 << 20))
            try table.verify()
            return table.info.digest == digest ? nil : "it is another table"
        } catch .corruption(let corruption) {
            return "offset \(corruption.offset): \(corruption.reason)"
        } catch .unsupportedFormat(_, let reason) {
            return reason
        }
    }
}
