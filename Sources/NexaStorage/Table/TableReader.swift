/// What a table knows of a key at an LSN. The value's bytes live as long as the pin that was passed.
package enum TableLookup {
    case value(UnsafeRawBufferPointer, LSN)
    case deleted(LSN)
    case absent
}

/// How an iterator reads a table.
package struct TableReadOptions: Sendable {
    /// Blocks read go into the cache. Off for compactions, backups and large scans: those read ahead in large chunks.
    package var fillCache = true
    /// Off: a block that is not cached throws `wouldBlock` instead of reading the disk.
    package var mayBlock = true
    package init(fillCache: Bool = true, mayBlock: Bool = true) {
        self.fillCache = fillCache
        self.mayBlock = mayBlock
    }
}

/// The hash that filters use: compute it once a look-up, pass it to every table.
package func filterHash(_ key: UnsafeRawBufferPointer) -> UInt64 { fatalError("not built yet") }

/// An open table: index and filter in memory, data blocks through the cache. Immutable; any number of threads.
package final class TableReader: Sendable {
    /// Reads footer, index, filter and properties and checks them. `expecting` (from the manifest) must match where given.
    package static func open(
        path: String, fileSystem: any FileSystem, cache: BlockCache, expecting: TableInfo? = nil
    ) throws(StorageError) -> TableReader { fatalError("not built yet") }
    package var info: TableInfo { fatalError("not built yet") }
    package var path: String { fatalError("not built yet") }
    /// Index and filter bytes held in memory as long as the reader lives.
    package var residentByteCount: Int { fatalError("not built yet") }
    package var rangeTombstones: RangeTombstoneSet { fatalError("not built yet") }
    /// The newest point entry of `key` with an LSN of at most `lsn`. Range tombstones: ask `coveringTombstone`.
    package func get(
        _ key: UnsafeRawBufferPointer, hash: UInt64, at lsn: LSN, pin: inout BlockPin, mayBlock: Bool
    ) throws(StorageError) -> TableLookup { fatalError("not built yet") }
    package func coveringTombstone(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> LSN { fatalError("not built yet") }
    package func makeIterator(_ options: TableReadOptions = .init()) -> InternalIterator { fatalError("not built yet") }
    /// Reads and checks every byte of the file. Throws the first damage found.
    package func verify() throws(StorageError) { fatalError("not built yet") }
    package func close() { fatalError("not built yet") }
}
