/// A table file as the manifest knows it: everything that is needed to plan with it without opening it.
package struct TableFile: Hashable, Sendable {
    package var level: Int
    package var number: UInt64
    package var byteCount: UInt64
    /// User keys, both inclusive.
    package var smallestKey: [UInt8]
    package var largestKey: [UInt8]
    package var smallestLSN: LSN
    package var largestLSN: LSN
    package var entryCount: UInt64
    /// Point and range tombstones among the entries.
    package var tombstoneCount: UInt64
    /// Range tombstones alone: such a table is compacted even when its level is not too large, so that what it hides leaves the disk.
    package var rangeTombstoneCount: UInt64
    /// The random number that seeds the checksums of this file's blocks.
    package var fileContext: UInt64
    /// XXH3-64 that the file's footer holds as well: a file of another store, or an older one under this name, does not fit.
    package var digest: UInt64

    package init(
        level: Int, number: UInt64, byteCount: UInt64, smallestKey: [UInt8], largestKey: [UInt8], smallestLSN: LSN,
        largestLSN: LSN,
        entryCount: UInt64, tombstoneCount: UInt64, rangeTombstoneCount: UInt64 = 0, fileContext: UInt64, digest: UInt64
    ) {
        self.level = level
        self.number = number
        self.byteCount = byteCount
        self.smallestKey = smallestKey
        self.largestKey = largestKey
        self.smallestLSN = smallestLSN
        self.largestLSN = largestLSN
        self.entryCount = entryCount
        self.tombstoneCount = tombstoneCount
        self.rangeTombstoneCount = rangeTombstoneCount
        self.fileContext = fileContext
        self.digest = digest
    }
}

/// A place in the log up to which everything was known to be on disk.
package struct DurableMark: Hashable, Sendable {
    package var segmentID: UInt64
    package var offset: UInt64
    package var lsn: LSN
    package var chain: UInt64

    package init(segmentID: UInt64, offset: UInt64, lsn: LSN, chain: UInt64) {
        self.segmentID = segmentID
        self.offset = offset
        self.lsn = lsn
        self.chain = chain
    }
}

/// The first record of an epoch.
package struct EpochStart: Hashable, Sendable {
    package var epoch: Epoch
    package var firstLSN: LSN

    package init(epoch: Epoch, firstLSN: LSN) {
        self.epoch = epoch
        self.firstLSN = firstLSN
    }
}

extension [EpochStart] {
    /// The part of a history that a log which ends with `lsn` has. The first epoch counts although nothing may be written yet.
    package func kept(through lsn: LSN) -> [EpochStart] {
        enumerated().filter { $0.offset == 0 || $0.element.firstLSN <= lsn }.map(\.element)
    }

    /// The last LSN up to which a log with this history, which ends at `end`, and one with the history `other`, which ends at `otherEnd`,
    /// hold the same records; 0 when they share nothing. Exact as long as no epoch had two leaders, which the chain at the returned place
    /// then gives away.
    package func commonPoint(end: LSN, other: [EpochStart], otherEnd: LSN) -> LSN {
        var mine = count - 1
        var theirs = other.count - 1
        while mine >= 0 && theirs >= 0 {
            let (a, b) = (self[mine], other[theirs])
            if a == b {
                let myEnd = mine + 1 < count ? self[mine + 1].firstLSN - 1 : end
                let theirEnd = theirs + 1 < other.count ? other[theirs + 1].firstLSN - 1 : otherEnd
                return Swift.min(Swift.min(myEnd, end), Swift.min(theirEnd, otherEnd))
            }
            if a.epoch >= b.epoch { mine -= 1 }
            if b.epoch >= a.epoch { theirs -= 1 }
        }
        return 0
    }
}

/// One atomic change of what a store consists of. Absent fields stay as they were.
package struct VersionEdit: Equatable, Sendable {
    package struct RemovedFile: Hashable, Sendable {
        package var level: Int
        package var number: UInt64

        package init(level: Int, number: UInt64) {
            self.level = level
            self.number = number
        }
    }

    package var added: [TableFile] = []
    package var removed: [RemovedFile] = []
    /// The lowest log segment that recovery needs; it exists.
    package var walLow: UInt64?
    /// No file number at or above this one is in use.
    package var nextFile: UInt64?
    /// Tables hold everything up to here.
    package var flushedLSN: LSN?
    package var epochs: [EpochStart] = []
    /// Epochs that began above this LSN were cut off with the log, before `epochs` are added.
    package var epochsEnd: LSN?
    package var durableMark: DurableMark?
    package var storeUUID: StoreUUID?

    package init() {}

    package var isEmpty: Bool { self == VersionEdit() }
}
