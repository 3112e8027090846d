// Ordered reads over one view: what a key shows at one LSN, with deletions and range deletions applied, in key order.
// Tables outside the bounds are left out; those within are opened by the first seek.

/// An iterator over user keys. Confined to a thread; keeps its view alive until it is dropped.
package final class EngineIterator {
    private let view: View
    private let lowerBound: [UInt8]?
    private let upperBound: [UInt8]?
    private let position: LSN
    private let options: TableReadOptions
    private var merged: UserIterator?

    init(view: View, lowerBound: [UInt8]?, upperBound: [UInt8]?, at lsn: LSN, fillCache: Bool) {
        self.view = view
        self.lowerBound = lowerBound
        self.upperBound = upperBound
        position = lsn
        options = TableReadOptions(fillCache: fillCache, mayBlock: true)
    }

    /// Stands on an entry.
    package var isValid: Bool { merged?.isValid ?? false }
    /// Key of the entry; valid until the iterator moves.
    package var key: UnsafeRawBufferPointer { standing.key }
    /// Value of the entry; valid until the iterator moves.
    package var value: UnsafeRawBufferPointer { standing.value }
    /// LSN of the write that made the entry.
    package var lsn: LSN { standing.lsn }

    /// To the first entry within the bounds.
    package func seekToFirst() throws(StorageError) { try opened().seekToFirst() }
    /// To the first entry at or after `key`.
    package func seek(to key: UnsafeRawBufferPointer) throws(StorageError) { try opened().seek(to: key) }
    /// To the next entry; the iterator must be valid.
    package func next() throws(StorageError) { try standing.next() }

    private var standing: UserIterator {
        guard let merged else { preconditionFailure("the iterator was not positioned") }
        return merged
    }

    private func opened() throws(StorageError) -> UserIterator {
        if let merged { return merged }
        var children: [InternalIterator] = []
        var tombstones: [RangeTombstoneSet] = []
        for slot in view.memTables where !slot.table.isEmpty {
            children.append(slot.table.makeIterator())
            tombstones.append(slot.table.rangeTombstones)
        }
        for level in 0..<Version.levelCount {
            var readers: [TableReader] = []
            for table in view.version.tables(inLevel: level, lowerBound: lowerBound, upperBound: upperBound) {
                let reader = try table.reader(mayBlock: true)
                readers.append(reader)
                if !reader.rangeTombstones.isEmpty { tombstones.append(reader.rangeTombstones) }
            }
            if level == 0 || readers.count == 1 {
                for reader in readers { children.append(reader.makeIterator(options)) }
            } else if !readers.isEmpty {
                children.append(LevelIterator(readers, options: options))
            }
        }
        let iterator = UserIterator(
            source: children.count == 1 ? children[0] : MergingIterator(children),
            tombstones: tombstones.filter { !$0.isEmpty }, at: position, lowerBound: lowerBound, upperBound: upperBound)
        merged = iterator
        return iterator
    }
}
