/// How a table is written.
package struct TableOptions: Sendable {
    /// Raw bytes of a data block at which it is cut.
    package var blockByteCount = 16 << 10
    package var restartInterval = 16
    /// Bloom bits per key; 0 writes no filter.
    package var filterBitsPerKey = 10
    package var compresses = true
    /// Which store wrote the table (goes into the footer).
    package var storeUUID: (UInt64, UInt64) = (0, 0)
    package init() {}
}

/// What the manifest has to know of a finished table.
package struct TableInfo: Sendable, Equatable {
    package var fileNumber: UInt64 = 0
    package var byteCount: UInt64 = 0
    /// Smallest and largest user key, range tombstones included. `largest` is inclusive; of a range tombstone it is the (exclusive) end.
    package var smallest: [UInt8] = []
    package var largest: [UInt8] = []
    package var lsnMin: LSN = 0
    package var lsnMax: LSN = 0
    /// Point entries, tombstones among them.
    package var entryCount: UInt64 = 0
    package var tombstoneCount: UInt64 = 0
    package var rangeTombstoneCount: UInt64 = 0
    package var rawKeyByteCount: UInt64 = 0
    package var rawValueByteCount: UInt64 = 0
    /// Random number that seeds the checksum of every block.
    package var fileContext: UInt64 = 0
    /// Pins every byte of the file.
    package var digest: UInt64 = 0
    package init() {}
}

/// Writes one table, entries in internal order. Not Sendable: one thread at a time.
package final class TableWriter {
    package init(file: any File, path: String, fileNumber: UInt64, fileContext: UInt64, options: TableOptions)
        throws(StorageError)
    {
        fatalError("not built yet")
    }
    package func add(key: UnsafeRawBufferPointer, lsn: LSN, kind: OpKind, value: UnsafeRawBufferPointer) throws(StorageError) {
        fatalError("not built yet")
    }
    package func addRangeTombstone(_ tombstone: RangeTombstone) throws(StorageError) { fatalError("not built yet") }
    /// Bytes of the file so far (what is still in the block builder estimated).
    package var estimatedByteCount: UInt64 { fatalError("not built yet") }
    package var entryCount: UInt64 { fatalError("not built yet") }
    /// Writes what is left, index, filter, properties and footer, and syncs the file. The directory is the caller's to sync.
    package func finish() throws(StorageError) -> TableInfo { fatalError("not built yet") }
}
