import CSupport

/// Walks entries in internal order: user key ascending bytewise, then LSN descending. Range tombstones are never among the entries.
///
/// The entry lies in memory that the subclass writes (`entry`), so that reading key and value costs no dispatch, and moving costs
/// one virtual call. Confined to one thread. After a thrown error the iterator is invalid until the next seek.
package class InternalIterator {
    /// Where the current entry lies; owned by this iterator, fixed for its life.
    final let entry: UnsafeMutablePointer<nexa_entry>

    init() {
        entry = .allocate(capacity: 1)
        entry.initialize(to: nexa_entry())
    }

    /// For subclasses whose entry is part of a bigger state that they own.
    init(entry: UnsafeMutablePointer<nexa_entry>) {
        self.entry = entry
        ownsEntry = false
    }

    private final var ownsEntry = true

    deinit {
        if ownsEntry { entry.deallocate() }
    }

    /// Stands on an entry.
    @inline(__always)
    package final var isValid: Bool { entry.pointee.valid }
    /// The current key; valid until the iterator moves.
    @inline(__always)
    package final var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: entry.pointee.key, count: Int(entry.pointee.key_len))
    }
    /// The current value; valid until the iterator moves.
    @inline(__always)
    package final var value: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: entry.pointee.value, count: Int(entry.pointee.value_len))
    }
    /// LSN of the batch that wrote the entry.
    @inline(__always)
    package final var lsn: LSN { entry.pointee.lsn }
    /// `put` or `delete`.
    @inline(__always)
    package final var kind: OpKind { OpKind(rawValue: entry.pointee.kind) ?? .delete }

    package func seekToFirst() throws(StorageError) { preconditionFailure("abstract") }
    /// The first entry at or behind (key, lsn): the newest version of `key` that a reader at `lsn` may see, or what follows.
    package func seek(_ key: UnsafeRawBufferPointer, _ lsn: LSN) throws(StorageError) { preconditionFailure("abstract") }
    /// To the next entry; the iterator must be valid.
    package func next() throws(StorageError) { preconditionFailure("abstract") }

    /// Moves over entries that a range tombstone of `tombstone` hides: to the first entry at or behind `end`, or, where this
    /// source may hold newer entries than the tombstone, not at all. False: did not move.
    func skipHidden(to end: UnsafeRawBufferPointer, by tombstone: LSN) throws(StorageError) -> Bool { false }
}
