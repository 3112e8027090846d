/// What a reader at an LSN sees: one entry a key, deletes and range deletes applied, within bounds, in both directions.
package final class UserIterator {
    /// - Parameters:
    ///   - source: the entries; usually a `MergingIterator`.
    ///   - tombstones: the range tombstones of all sources.
    ///   - lowerBound: inclusive. - upperBound: exclusive.
    package init(
        source: InternalIterator, tombstones: [RangeTombstoneSet], at lsn: LSN, lowerBound: [UInt8]? = nil,
        upperBound: [UInt8]? = nil
    ) { fatalError("not built yet") }

    package var isValid: Bool { fatalError("not built yet") }
    package var key: UnsafeRawBufferPointer { fatalError("not built yet") }
    package var value: UnsafeRawBufferPointer { fatalError("not built yet") }
    package var lsn: LSN { fatalError("not built yet") }
    package func seekToFirst() throws(StorageError) { fatalError("not built yet") }
    package func seekToLast() throws(StorageError) { fatalError("not built yet") }
    /// The first visible key at or after `key`.
    package func seek(to key: UnsafeRawBufferPointer) throws(StorageError) { fatalError("not built yet") }
    /// The last visible key before `key`.
    package func seek(before key: UnsafeRawBufferPointer) throws(StorageError) { fatalError("not built yet") }
    package func next() throws(StorageError) { fatalError("not built yet") }
    package func previous() throws(StorageError) { fatalError("not built yet") }
}
