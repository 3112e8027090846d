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
/// reader may show is the caller's business (`visible LSN`). Memory goes back to the system when the last reference does.
///
/// `@unchecked Sendable`: the skiplist is made for concurrent use, everything else is immutable or behind its own lock.
package final class MemTable: @unchecked Sendable {
    /// The caller's name for this table.
    package let id: UInt64
    private let list: OpaquePointer
    private let tombstones = MemTableTombstones()

    /// A table whose arena has `capacity` bytes; memory is taken as it is used.
    package init(capacity: Int, id: UInt64) throws(StorageError) {
        var list: OpaquePointer?
        let status = nexa_skiplist_create(max(capacity, MemTable.capacityMin), &list)
        guard status == NEXA_OK, let list else {
            throw status == NEXA_TOO_LARGE
                ? .tooLarge(what: "memtable", byteCount: capacity, limit: MemTable.capacityMax)
                : .overloaded(reason: "the system refused \(capacity) bytes for a memtable")
        }
        self.id = id
        self.list = list
    }

    deinit { nexa_skiplist_destroy(list) }

    package static let capacityMin = 64 << 10
    package static let capacityMax = Int(UInt32.max)
    /// Longest key, in bytes.
    package static let keyByteCountMax = Int(NEXA_KEY_BYTE_COUNT_MAX)

    /// Inserts a put or a delete; in front of an entry with the same key and LSN. False: the table is full, or the key longer than
    /// `keyByteCountMax`; nothing was changed.
    package func insert(kind: OpKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lsn: LSN) -> Bool {
        insert(kind: kind, key: key, value: value, lsn: lsn, hint: nil)
    }

    func insert(
        kind: OpKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lsn: LSN,
        hint: UnsafeMutablePointer<nexa_skiplist_hint>?
    ) -> Bool {
        precondition(kind != .rangeDelete, "range tombstones are kept beside the entries")
        return nexa_skiplist_insert(
            list, hint, key.bytePointer, key.count, lsn, kind.rawValue, value.bytePointer, value.count) == NEXA_OK
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

/// Inserts of one thread into one memtable that come mostly in key order: each starts where the last one ended.
package final class MemTableInserter {
    private let table: MemTable
    private let hint: UnsafeMutablePointer<nexa_skiplist_hint>

    package init(_ table: MemTable) {
        self.table = table
        hint = .allocate(capacity: 1)
        hint.initialize(to: nexa_skiplist_hint())
    }

    deinit { hint.deallocate() }

    /// As `MemTable.insert`.
    package func insert(kind: OpKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lsn: LSN) -> Bool {
        table.insert(kind: kind, key: key, value: value, lsn: lsn, hint: hint)
    }
}

extension UnsafeRawBufferPointer {
    /// The start, as the C core takes it.
    @inline(__always)
    var bytePointer: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
