// The memory between committers and the log role: two buffers, one that committers fill and one that the role writes.
//
//     committer (gate held):  reserve(lsn, byteCount) -> place        committer (no lock): fills the place, `markFilled`
//     log role  (gate held):  take() -> buffers, oldest first         log role: waits until each is filled, writes, `recycle`
//
// Records lie back to back in LSN order. A batch larger than a buffer gets a buffer of its own, one at a time, so the
// memory is bounded by two buffers and the largest batch. The lists are guarded by the pipeline's gate.

import Glibc
import Synchronization

/// One run of records.
package final class LogBuffer: @unchecked Sendable {
    // Unchecked: `reserved`, `lastLSN` and `needsSync` are guarded by the pipeline's gate until the buffer is taken, then
    // confined to the log role; the bytes of a place belong to the committer that reserved it until it is marked filled.
    let memory: UnsafeMutableRawPointer
    let capacity: Int
    fileprivate(set) var reserved = 0
    fileprivate(set) var lastLSN: LSN = 0
    /// A record in here must be on disk before it is acknowledged.
    fileprivate(set) var needsSync = false
    private let filled = Atomic<Int>(0)

    init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 4096)
    }

    deinit { memory.deallocate() }

    /// The committer has written its record.
    func markFilled(_ byteCount: Int) { filled.add(byteCount, ordering: .releasing) }

    /// Waits for the committers that still copy: microseconds, unless one of them lost its processor.
    func waitUntilFilled() {
        var spins = 0
        while filled.load(ordering: .acquiring) != reserved {
            spins += 1
            if spins > 100 { sched_yield() }
        }
    }

    var isEmpty: Bool { reserved == 0 }

    /// All records; only after `waitUntilFilled`.
    var records: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: memory, count: reserved) }

    fileprivate func reset() {
        reserved = 0
        lastLSN = 0
        needsSync = false
        filled.store(0, ordering: .relaxed)
    }
}

/// The buffers of one pipeline. Guarded by the pipeline's gate.
package struct LogBuffers {
    private let standardByteCount: Int
    private var active: LogBuffer
    private var spare: LogBuffer?
    private var sealed: [LogBuffer] = []

    package init(byteCount: Int) {
        standardByteCount = byteCount
        active = LogBuffer(capacity: byteCount)
        spare = LogBuffer(capacity: byteCount)
    }

    /// Nothing waits for the log role.
    var isEmpty: Bool { sealed.isEmpty && active.reserved == 0 }

    /// There is room for a record of this size now.
    package mutating func prepare(_ byteCount: Int) -> Bool {
        if active.reserved + byteCount <= active.capacity { return true }
        if byteCount > standardByteCount {
            guard sealed.isEmpty, spare != nil else { return false }
            sealed.append(active)
            active = LogBuffer(capacity: byteCount)
            return true
        }
        guard let next = spare else { return false }
        spare = nil
        sealed.append(active)
        active = next
        return true
    }

    /// The place of the next record; `prepare` has said yes.
    package mutating func reserve(
        _ byteCount: Int, lsn: LSN, needsSync: Bool
    ) -> (buffer: LogBuffer, place: UnsafeMutableRawPointer) {
        let place = active.memory + active.reserved
        active.reserved += byteCount
        active.lastLSN = lsn
        if needsSync { active.needsSync = true }
        return (active, place)
    }

    /// Everything reserved so far, oldest first (a sealed buffer may be empty); committers go on in the other buffer. When
    /// there is no other one, only what is sealed is taken, and the rest with the next call.
    package mutating func take(into taken: inout [LogBuffer]) {
        taken.append(contentsOf: sealed)
        sealed.removeAll(keepingCapacity: true)
        if active.reserved > 0, let next = spare {
            spare = nil
            taken.append(active)
            active = next
        }
    }

    /// Gives a written buffer back. Afterwards there are two buffers to go on with, whatever became of the standard ones: one that a large
    /// record has pushed out, and that came back before the record was reserved, is gone.
    package mutating func recycle(_ buffer: LogBuffer) {
        guard spare == nil else { return }
        guard buffer.capacity == standardByteCount else {
            spare = LogBuffer(capacity: standardByteCount)
            return
        }
        buffer.reset()
        spare = buffer
    }

    /// Forgets everything that was reserved and not written.
    mutating func discardAll() {
        self = LogBuffers(byteCount: standardByteCount)
    }
}
