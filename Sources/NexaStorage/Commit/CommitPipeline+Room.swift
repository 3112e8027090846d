// Waiting for room: in the ring, in the log buffers, in the memtable. Everything is called under the gate and returns under
// it. Nothing here grows: when there is no room the writer waits, first helping where it can, and is refused with
// `overloaded` when that takes longer than the options allow. An event loop does not wait for a flush at all, and for the log
// only as long as a group takes: it is refused with `wouldBlock`, and repeats the write on a thread that may wait.

import Synchronization

extension CommitPipeline {
    /// Returns when a record (or a run of them) and its entries have room, or throws. With `isPatient` it takes the time it takes: for what
    /// nobody waits for, and what cannot be refused.
    func waitForRoom(
        recordByteCount: Int, tableByteCount: Int, rangeDeletes: Int, recordCount: Int = 1, mayBlock: Bool = true,
        isPatient: Bool = false
    ) throws(StorageError) {
        var stalledSince: UInt64?
        defer {
            if let start = stalledSince { state.pointee.stallNanoseconds += monotonicNanoseconds() - start }
        }
        while let missing = try missingRoom(recordByteCount, tableByteCount, rangeDeletes, recordCount) {
            let start = stalledSince ?? monotonicNanoseconds()
            stalledSince = start
            let waited = monotonicNanoseconds() - start
            if !mayBlock, missing == .memTable || waited >= Self.inlineWaitNanoseconds { throw .wouldBlock }
            guard isPatient || waited < UInt64(options.writeStallMilliseconds) * 1_000_000 else {
                throw .overloaded(reason: "no room in the \(missing.rawValue) for \(options.writeStallMilliseconds) ms")
            }
            try wait(for: missing)
        }
    }

    /// How long a thread that must not block waits for the log to take a group: about one sync. Handing the write to another thread
    /// costs as much.
    static let inlineWaitNanoseconds: UInt64 = 1_000_000

    private func missingRoom(
        _ recordByteCount: Int, _ tableByteCount: Int, _ rangeDeletes: Int, _ recordCount: Int
    ) throws(StorageError) -> Room? {
        while true {
            if let refusal = state.pointee.refusal { throw refusal }
            guard ring.hasRoom(for: state.pointee.nextLSN + LSN(recordCount) - 1) else { return .ring }
            guard state.pointee.buffers.prepare(recordByteCount) else { return .logBuffer }
            if state.pointee.active.hasRoom(for: tableByteCount),
                state.pointee.activeRangeDeletes + rangeDeletes <= CommitPipeline.rangeDeleteCountMax
            {
                return nil
            }
            guard state.pointee.memTableCount < plan.memTableCountMax else { return .memTable }
            try rotateMemTable(capacityAtLeast: tableByteCount)
        }
    }

    /// Closes the active memtable for writers and opens another one. Under the gate.
    func rotateMemTable(capacityAtLeast byteCount: Int) throws(StorageError) {
        let capacity = max(plan.memTableByteCount, byteCount + Self.tableOverhead)
        let table = try MemTable(capacity: capacity, id: state.pointee.nextMemTableID, pool: memTablePool)
        state.pointee.nextMemTableID += 1
        let closed = state.pointee.active
        let slot = MemTableSlot(table: table, firstLSN: state.pointee.nextLSN)
        state.pointee.active = slot
        state.pointee.activeRangeDeletes = 0
        if closed.firstLSN < state.pointee.nextLSN {
            closed.lastLSN.store(state.pointee.nextLSN - 1, ordering: .releasing)
            state.pointee.memTableCount += 1
        }
        hooks.didRotate(closed, slot)
    }

    /// What an empty memtable holds already.
    static let tableOverhead = 4096

    private func wait(for room: Room) throws(StorageError) {
        state.pointee.waiterCount += 1
        defer { state.pointee.waiterCount -= 1 }
        gate.unlock()
        do {
            let hasMadeRoom = try hooks.makeRoom(room)
            gate.lock()
            if hasMadeRoom { return }
        } catch {
            gate.lock()
            throw error
        }
        _ = gate.wait(nanoseconds: 1_000_000)
    }

    /// After room was made. Takes the gate.
    func signalRoom() {
        gate.withLock { if state.pointee.waiterCount > 0 { gate.broadcast() } }
    }

    /// A flush has made `count` memtables superfluous. Takes the gate.
    func releaseMemTables(_ count: Int) {
        gate.withLock {
            state.pointee.memTableCount -= count
            if state.pointee.waiterCount > 0 { gate.broadcast() }
        }
    }
}
