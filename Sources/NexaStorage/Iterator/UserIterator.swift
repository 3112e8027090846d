import CSupport

/// What a reader at an LSN sees: one entry a key, deletes and range deletes applied, within bounds, in both directions.
///
/// Forward, the source stands on the entry that is shown, and nothing is copied but keys to tell versions apart. Backward, versions
/// of a key come oldest first, so the source has to be past all of them before it is known which one to show: key and value of that
/// one are copied, and the source stands on the key before.
/// Confined to one thread. After a thrown error the iterator is invalid until the next seek.
package final class UserIterator {
    private let source: InternalIterator
    private let lsnLimit: LSN
    private let tombstones: VisibleTombstones?
    private let lowerBound: [UInt8]?
    private let upperBound: [UInt8]?
    private var state = State.invalid
    /// Forward: the key whose further versions are passed over. Backward: the key that is shown.
    private var savedKey = ByteBuffer()
    /// Backward: the value that is shown.
    private var savedValue = ByteBuffer()
    private var savedLSN: LSN = 0

    private enum State { case invalid, forward, backward }

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

    /// Stands on an entry.
    package var isValid: Bool { state != .invalid }

    /// Key of the entry; valid until the iterator moves.
    package var key: UnsafeRawBufferPointer { state == .forward ? source.key : savedKey.bytes }

    /// Value of the entry; valid until the iterator moves.
    package var value: UnsafeRawBufferPointer { state == .forward ? source.value : savedValue.bytes }

    /// LSN of the write that made the entry.
    package var lsn: LSN { state == .forward ? source.lsn : savedLSN }

    /// To the first visible key within the bounds.
    package func seekToFirst() throws(StorageError) {
        state = .invalid
        if let lowerBound {
            try lowerBound.withBytes { (bytes) throws(StorageError) in try source.seek(bytes, .max) }
        } else {
            try source.seekToFirst()
        }
        try showNext(passing: false)
    }

    /// To the last visible key within the bounds.
    package func seekToLast() throws(StorageError) {
        state = .invalid
        if let upperBound {
            try upperBound.withBytes { (bytes) throws(StorageError) in try standBefore(bytes) }
        } else {
            try source.seekToLast()
        }
        try showPrevious()
    }

    /// To the first visible key at or after `key`.
    package func seek(to key: UnsafeRawBufferPointer) throws(StorageError) {
        if let lowerBound, isBelow(key, lowerBound) { return try seekToFirst() }
        state = .invalid
        try source.seek(key, .max)
        try showNext(passing: false)
    }

    /// To the last visible key before `key`.
    package func seek(before key: UnsafeRawBufferPointer) throws(StorageError) {
        if let upperBound, !isBelow(key, upperBound) { return try seekToLast() }
        state = .invalid
        try standBefore(key)
        try showPrevious()
    }

    /// To the next visible key; the iterator must be valid.
    package func next() throws(StorageError) {
        switch state {
        case .forward:
            savedKey.set(source.key)
            try step { () throws(StorageError) in try source.next() }
        case .backward:
            try step { () throws(StorageError) in try source.seek(savedKey.bytes, .max) }
        case .invalid:
            preconditionFailure("next() on an iterator that stands nowhere")
        }
        try showNext(passing: true)
    }

    /// To the visible key before; the iterator must be valid.
    package func previous() throws(StorageError) {
        switch state {
        case .forward:
            savedKey.set(source.key)
            try step { () throws(StorageError) in try standBefore(savedKey.bytes) }
        case .backward:
            break
        case .invalid:
            preconditionFailure("previous() on an iterator that stands nowhere")
        }
        try showPrevious()
    }

    /// Moves the source; after an error the iterator stands nowhere.
    @inline(__always)
    private func step(_ move: () throws(StorageError) -> Void) throws(StorageError) {
        do throws(StorageError) { try move() } catch {
            state = .invalid
            throw error
        }
    }

    // MARK: forward

    /// From where the source stands, forward to the first visible entry; `passing`: entries of `savedKey` do not count.
    private func showNext(passing: Bool) throws(StorageError) {
        state = .invalid
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
                state = .forward
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

    // MARK: backward

    /// Puts the source on the last entry of any version before `key`.
    private func standBefore(_ key: UnsafeRawBufferPointer) throws(StorageError) {
        try source.seek(key, .max)
        if source.isValid { try source.prev() } else { try source.seekToLast() }
    }

    /// From where the source stands, backward to the first key with a visible entry; the source ends up before all its versions.
    private func showPrevious() throws(StorageError) {
        state = .invalid
        var hidden = 0
        while source.isValid {
            if let lowerBound, isBelow(source.key, lowerBound) { return }
            savedKey.set(source.key)
            if try takeNewestVersion() {
                state = .backward
                return
            }
            if let tombstones, source.isValid, tombstones.hides(source.key, source.lsn) {
                hidden += 1
                if hidden % UserIterator.stepsBetweenSkips == 1, try skipRangeBackward() { hidden = 0 }
            }
        }
    }

    /// As `skipRange`, backward.
    private func skipRangeBackward() throws(StorageError) -> Bool {
        guard let fragment = tombstones?.current else { return false }
        return try fragment.start.withBytes { (start) throws(StorageError) in
            try source.skipHiddenBackward(to: start, by: fragment.lsn)
        }
    }

    /// Passes all versions of `savedKey` and keeps the newest that the reader may see. False: the key is not there for it.
    private func takeNewestVersion() throws(StorageError) -> Bool {
        var kind = OpKind.delete
        var steps = 0
        savedLSN = 0
        while source.isValid, source.lsn <= lsnLimit, compareKeys(source.key, savedKey.bytes) == 0 {
            steps += 1
            if steps == UserIterator.stepsBeforeSeek {
                try source.seek(savedKey.bytes, lsnLimit)
                kind = keepCurrent()
                try standBefore(savedKey.bytes)
                break
            }
            kind = keepCurrent()
            try source.prev()
        }
        // What is left of the key is newer than the reader.
        while source.isValid, compareKeys(source.key, savedKey.bytes) == 0 {
            steps += 1
            if steps < UserIterator.stepsBeforeSeek { try source.prev() } else { try standBefore(savedKey.bytes) }
        }
        guard savedLSN > 0, kind == .put else { return false }
        return !(tombstones?.hides(savedKey.bytes, savedLSN) ?? false)
    }

    private func keepCurrent() -> OpKind {
        let kind = source.kind
        savedLSN = source.lsn
        if kind == .put { savedValue.set(source.value) }
        return kind
    }
}
