import CSupport

/// What a reader at an LSN sees: one entry a key, deletes and range deletes applied, within bounds, in ascending order.
///
/// The source stands on the entry that is shown, and nothing is copied but keys to tell versions apart.
/// Confined to one thread. After a thrown error the iterator is invalid until the next seek.
package final class UserIterator {
    private let source: InternalIterator
    private let lsnLimit: LSN
    private let tombstones: VisibleTombstones?
    private let lowerBound: [UInt8]?
    private let upperBound: [UInt8]?
    /// Stands on an entry.
    package private(set) var isValid = false
    /// The key whose further versions are passed over.
    private var savedKey = ByteBuffer()

    /// Versions of one key passed one by one before a seek takes the rest at once.
    private static let stepsBeforeSeek = 16
    /// Hidden entries between two tries to skip a range tombstone as a whole.
    private static let stepsBetweenSkips = 64

    /// - Parameters:
    ///   - source: the entries of everything that is read; usually a `MergingIterator`.
    ///   - tombstones: the range tombstones of the same memtables and tables.
    ///   - lsn: entries above it do not exist for this reader.
    ///   - lowerBound: inclusive.
    ///   - upperBound: exclusive.
    package init(
        source: InternalIterator, tombstones: [RangeTombstoneSet], at lsn: LSN, lowerBound: [UInt8]? = nil,
        upperBound: [UInt8]? = nil
    ) {
        self.source = source
        self.lsnLimit = lsn
        self.tombstones = VisibleTombstones(tombstones, at: lsn, lowerBound: lowerBound, upperBound: upperBound)
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    /// Key of the entry; valid until the iterator moves.
    package var key: UnsafeRawBufferPointer { source.key }

    /// Value of the entry; valid until the iterator moves.
    package var value: UnsafeRawBufferPointer { source.value }

    /// LSN of the write that made the entry.
    package var lsn: LSN { source.lsn }

    /// To the first visible key within the bounds.
    package func seekToFirst() throws(StorageError) {
        isValid = false
        if let lowerBound {
            try lowerBound.withBytes { (bytes) throws(StorageError) in try source.seek(bytes, .max) }
        } else {
            try source.seekToFirst()
        }
        try showNext(passing: false)
    }

    /// To the first visible key at or after `key`.
    package func seek(to key: UnsafeRawBufferPointer) throws(StorageError) {
        if let lowerBound, isBelow(key, lowerBound) { return try seekToFirst() }
        isValid = false
        try source.seek(key, .max)
        try showNext(passing: false)
    }

    /// To the next visible key; the iterator must be valid. After an error it stands nowhere.
    package func next() throws(StorageError) {
        precondition(isValid, "next() on an iterator that stands nowhere")
        isValid = false
        savedKey.set(source.key)
        try source.next()
        try showNext(passing: true)
    }

    /// From where the source stands to the first visible entry; `passing`: entries of `savedKey` do not count.
    private func showNext(passing: Bool) throws(StorageError) {
        var passing = passing
        var steps = 0
        var hidden = 0
        while source.isValid {
            let key = source.key
            if let upperBound, !isBelow(key, upperBound) { return }
            if passing, compareKeys(key, savedKey.bytes) == 0 {
                steps += 1
                if steps < UserIterator.stepsBeforeSeek { try source.next() } else { try source.seek(savedKey.bytes, 0) }
                continue
            }
            if source.lsn > lsnLimit {
                steps += 1
                if steps < UserIterator.stepsBeforeSeek {
                    try source.next()
                } else {
                    savedKey.set(key)
                    passing = false
                    try source.seek(savedKey.bytes, lsnLimit)
                    steps = 0
                }
                continue
            }
            let isHidden = tombstones?.hides(key, source.lsn) ?? false
            if !isHidden, source.kind == .put {
                isValid = true
                return
            }
            savedKey.set(key)
            passing = true
            steps = 0
            if isHidden {
                hidden += 1
                if hidden % UserIterator.stepsBetweenSkips == 1, try skipRange() {
                    hidden = 0
                    continue
                }
            }
            try source.next()
        }
    }

    /// Over what the range tombstone at the source's key hides, as far as the sources can. False: did not move.
    private func skipRange() throws(StorageError) -> Bool {
        guard let fragment = tombstones?.current else { return false }
        return try fragment.end.withBytes { (end) throws(StorageError) in try source.skipHidden(to: end, by: fragment.lsn) }
    }
}
