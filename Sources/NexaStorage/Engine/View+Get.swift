// Point look-up in a view. Sources are visited newest first. `cover` is the newest range tombstone found so far that covers
// the key: whatever an older source has lies below it.

extension View {
    /// The newest version of `key` at or below `lsn`, unless it is a deletion.
    func get(
        _ key: UnsafeRawBufferPointer, at lsn: LSN, pin: inout BlockPin, mayBlock: Bool
    ) throws(StorageError) -> StoredValue? {
        let hash = filterHash(key)
        for slot in memTables {
            let cover = slot.table.coveringTombstone(key, at: lsn)
            switch slot.table.get(key, hash: hash, at: lsn) {
            case .value(let bytes, let found): return found >= cover ? StoredValue(bytes: bytes, lsn: found) : nil
            case .deleted: return nil
            case .absent: if cover > 0 { return nil }
            }
        }
        return try version.get(key, hash: hash, at: lsn, pin: &pin, mayBlock: mayBlock)
    }
}

extension Version {
    /// As `View.get`, in the tables.
    func get(
        _ key: UnsafeRawBufferPointer, hash: UInt64, at lsn: LSN, pin: inout BlockPin, mayBlock: Bool
    ) throws(StorageError) -> StoredValue? {
        // Tables of L0 overlap and are ordered by their newest entry; a key's versions are ordered with them.
        for slot in bounds.level(0) where slot.mayContain(key, hash: hash) {
            let table = slot.table.takeUnretainedValue()
            switch try table.find(key, hash: hash, at: lsn, pin: &pin, mayBlock: mayBlock) {
            case .value(let value): return value
            case .deleted: return nil
            case .absent: continue
            }
        }
        for level in 1..<Self.levelCount {
            let slots = bounds.level(level)
            guard slots.count > 0 else { continue }
            var index = TableBounds.firstIndex(in: slots, notBelow: key)
            // More than one table only where a range tombstone ends at the next table's first key.
            while index < slots.count, compareBytes(key, slots[index].smallest) >= 0 {
                if slots[index].mayContain(key, hash: hash) {
                    let table = slots[index].table.takeUnretainedValue()
                    switch try table.find(key, hash: hash, at: lsn, pin: &pin, mayBlock: mayBlock) {
                    case .value(let value): return value
                    case .deleted: return nil
                    case .absent: break
                    }
                }
                index += 1
            }
        }
        return nil
    }
}

extension TableHandle {
    /// What a table says of a key, its own range tombstones applied.
    enum Finding {
        case value(StoredValue)
        case deleted
        case absent
    }

    @inline(__always)
    func find(
        _ key: UnsafeRawBufferPointer, hash: UInt64, at lsn: LSN, pin: inout BlockPin, mayBlock: Bool
    ) throws(StorageError) -> Finding {
        let reader = try reader(mayBlock: mayBlock)
        let cover = file.tombstoneCount > 0 ? reader.coveringTombstone(key, at: lsn) : 0
        switch try reader.get(key, hash: hash, at: lsn, pin: &pin, mayBlock: mayBlock) {
        case .value(let bytes, let found): return found >= cover ? .value(StoredValue(bytes: bytes, lsn: found)) : .deleted
        case .deleted: return .deleted
        case .absent: return cover > 0 ? .deleted : .absent
        }
    }
}
