import CSupport
import Synchronization

/// What a memtable knows of a key at an LSN. The value's bytes live as long as the memtable.
package enum MemTableLookup {
    case value(UnsafeRawBufferPointer, LSN)
    case deleted(LSN)
    case absent
}

/// The newest entries in memory: an arena skiplist of fixed capacity (`nexa_skiplist.h`) with the range tombstones beside it.
///
/// Any number of threads insert at once; readers take no lock and see an entry as soon as its insert has returned. Which of them a
/// reader may show is the caller's business (`visible LSN`). With the last reference the memory goes to the pool that it came from, or
/// back to the system. Entries of one key must come in the order of their LSNs, or not at the same time: latches see to that.
///
/// `@unchecked Sendable`: the skiplist is made for concurrent use, everything else is immutable or behind its own lock.
package final class MemTable: @unchecked Sendable {
    /// The caller's name for this table.
    package let id: UInt64
    private let list: OpaquePointer
    private let tombstones = MemTableTombstones()
    private let pool: MemTablePool?

    /// A table whose arena has `capacity` bytes; memory is taken as it is used, or from the pool where that has an arena of this size.
    package init(capacity: Int, id: UInt64, pool: MemTablePool? = nil) throws(StorageError) {
        self.pool = pool
        self.id = id
        if let spare = pool?.take(capacity: capacity) {
            list = spare
            return
        }
        var list: OpaquePointer?
        let status = nexa_skiplist_create(max(capacity, MemTable.capacityMin), &list)
        guard status == NEXA_OK, let list else {
            throw status == NEXA_TOO_LARGE
                ? .tooLarge(what: "memtable", byteCount: capacity, limit: MemTable.capacityMax)
                : .overloaded(reason: "the system refused \(capacity) bytes for a memtable")
        }
        self.list = list
    }

    deinit {
        if let pool { pool.give(list) } else { nexa_skiplist_destroy(list) }
    }

    package static let capacityMin = 64 << 10
    package static let capacityMax = Int(UInt32.max)
    /// Longest key, in bytes.
    package static let keyByteCountMax = Int(NEXA_KEY_BYTE_COUNT_MAX)

    /// Inserts a put or a delete; in front of an entry with the same key and LSN. False: the table is full, or the key longer than
    /// `keyByteCountMax`; nothing was changed.
    package func insert(kind: OpKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lsn: LSN) -> Bool {
        precondition(kind != .rangeDelete, "range tombstones are kept beside the entries")
        return nexa_skiplist_insert(
            list, key.bytePointer, key.count, lsn, kind.rawValue, value.bytePointer, value.count) == NEXA_OK
    }

    /// Hides every entry in `[start, end)` with a lower LSN. False: no room for another one.
    package func insertRangeTombstone(start: UnsafeRawBufferPointer, end: UnsafeRawBufferPointer, lsn: LSN) -> Bool {
        tombstones.insert(RangeTombstone(start: Array(start), end: Array(end), lsn: lsn))
    }

    /// The newest point entry of `key` with an LSN of at most `lsn`. Range tombstones: ask `coveringTombstone`.
    package func get(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> MemTableLookup {
        get(key, hash: filterHash(key), at: lsn)
    }

    /// As above, with the `filterHash` of the key at hand.
    package func get(_ key: UnsafeRawBufferPointer, hash: UInt64, at lsn: LSN) -> MemTableLookup {
        var entry = nexa_entry()
        guard nexa_skiplist_get(list, key.bytePointer, key.count, hash, lsn, &entry) else { return .absent }
        if entry.kind == OpKind.delete.rawValue { return .deleted(entry.lsn) }
        return .value(UnsafeRawBufferPointer(start: entry.value, count: Int(entry.value_len)), entry.lsn)
    }

    /// The newest range tombstone with an LSN of at most `lsn` that covers `key`; 0 when none does. One load when there are none.
    package func coveringTombstone(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> LSN {
        tombstones.isEmpty ? 0 : tombstones.set.covering(key, at: lsn)
    }

    /// The range tombstones inserted so far.
    package var rangeTombstones: RangeTombstoneSet { tombstones.isEmpty ? .empty : tombstones.set }

    /// Walks the point entries, also those that are inserted behind its position while it walks.
    package func makeIterator() -> InternalIterator { MemTableIterator(self, list: list) }

    /// Bytes in use.
    package var byteCount: Int { nexa_skiplist_byte_count(list) + tombstones.byteCount }
    /// Bytes of the arena.
    package var capacity: Int { nexa_skiplist_capacity(list) }
    /// Point entries.
    package var entryCount: Int { Int(nexa_skiplist_entry_count(list)) }
    package var isEmpty: Bool { entryCount == 0 && tombstones.isEmpty }

    /// Upper bound of the arena bytes that one insert of this size takes: lets a caller reserve before it inserts.
    package static func insertByteCountMax(keyByteCount: Int, valueByteCount: Int) -> Int {
        nexa_skiplist_insert_max(keyByteCount, valueByteCount)
    }
}

extension UnsafeRawBufferPointer {
    /// The start, as the C core takes it.
    @inline(__always)
    var bytePointer: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
