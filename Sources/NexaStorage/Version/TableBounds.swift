// The bounds of all tables of a version in one piece of memory, so that a point look-up passes the tables that cannot hold its key without
// touching an object: no reference is counted until a table's bounds and filter both say that the key may be there.

import CSupport

/// Bounds and handles by level. Immutable after `init`; it borrows the handles, so it must not outlive the version that owns both.
final class TableBounds: @unchecked Sendable {
    struct Slot {
        /// Both inclusive. A range tombstone's exclusive end counts as inside: never too narrow.
        fileprivate(set) var smallest: UnsafeRawBufferPointer
        fileprivate(set) var largest: UnsafeRawBufferPointer
        let table: Unmanaged<TableHandle>

        /// The key lies inside the bounds and the filter, where it is known yet, does not deny it.
        @inline(__always)
        func mayContain(_ key: UnsafeRawBufferPointer, hash: UInt64) -> Bool {
            compareBytes(key, smallest) >= 0 && compareBytes(key, largest) <= 0
                && table._withUnsafeGuaranteedRef { $0.filterAllows(hash) }
        }
    }

    private let slots: UnsafeMutableBufferPointer<Slot>
    private let keys: UnsafeMutableRawBufferPointer
    /// Where each level's slots begin; one more than there are levels.
    private let starts: UnsafeMutablePointer<Int>

    init(_ levels: [[TableHandle]]) {
        slots = .allocate(capacity: levels.reduce(0) { $0 + $1.count })
        keys = .allocate(
            byteCount: levels.joined().reduce(0) { $0 + $1.file.smallestKey.count + $1.file.largestKey.count }, alignment: 8)
        starts = .allocate(capacity: levels.count + 1)
        var slot = 0
        var end = 0
        for (level, tables) in levels.enumerated() {
            (starts + level).initialize(to: slot)
            for table in tables {
                let smallest = place(table.file.smallestKey, &end)
                let largest = place(table.file.largestKey, &end)
                slots.initializeElement(at: slot, to: Slot(smallest: smallest, largest: largest, table: .passUnretained(table)))
                slot += 1
            }
        }
        (starts + levels.count).initialize(to: slot)
    }

    deinit {
        slots.deallocate()
        keys.deallocate()
        starts.deallocate()
    }

    private func place(_ key: [UInt8], _ end: inout Int) -> UnsafeRawBufferPointer {
        let target = UnsafeMutableRawBufferPointer(rebasing: keys[end..<end + key.count])
        target.copyBytes(from: key)
        end += key.count
        return UnsafeRawBufferPointer(target)
    }

    /// The slots of a level, in its order.
    @inline(__always)
    func level(_ level: Int) -> UnsafeBufferPointer<Slot> {
        UnsafeBufferPointer(rebasing: slots[starts[level]..<starts[level + 1]])
    }

    /// Index of the first slot of a level (not L0) whose largest key is not below `key`.
    @inline(__always)
    static func firstIndex(in slots: UnsafeBufferPointer<Slot>, notBelow key: UnsafeRawBufferPointer) -> Int {
        var low = 0
        var high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if compareBytes(key, slots[middle].largest) > 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
