// Writing again after the log failed. The failed file is never synced again: the kernel may have dropped its dirty pages. What
// was acknowledged is in the memtables, so it becomes tables; what was not is dropped from them; the log goes on in a segment
// that does not continue the old ones.
//
//     1  nobody is in flight (commits are refused)           3  a new segment, unlinked      (a crash here: tables up to cut)
//     2  tables with everything up to cut = acknowledged     4  walLow names it; old segments go; commits are taken again

import Glibc
import Synchronization

extension Engine {
    /// After a failed log write: starts a new segment behind the last acknowledged record and accepts writes again. What was
    /// applied but never acknowledged is dropped. Does nothing when writes are not refused.
    package func resume() throws(StorageError) {
        try flushing.withLock { () throws(StorageError) in
            switch pipeline.gate.withLock({ pipeline.state.pointee.refusal }) {
            case .none: return
            case .closed?: throw .closed
            case .some: break
            }
            while pipeline.ring.applied < pipeline.positions.reserved { sched_yield() }
            let cut = pipeline.positions.acknowledged
            let slot = MemTableSlot(
                table: try MemTable(
                    capacity: plan.memTableByteCount, id: pipeline.gate.withLock { pipeline.state.pointee.nextMemTableID }),
                firstLSN: cut + 1)
            try replace(views.load().view.memTables, by: [slot], flushedLSN: cut, limit: cut)

            var edit = VersionEdit()
            edit.walLow = try log.restart()
            try publish(edit) { $0 }
            pipeline.restart(at: cut, epoch: epochs.forget(after: cut), active: slot)
            try retireSegments()
        }
    }
}

extension CommitPipeline {
    /// Takes commits again, from `lsn` on, into `slot`.
    func restart(at lsn: LSN, epoch: Epoch, active slot: MemTableSlot) {
        gate.withLock {
            currentEpoch.store(epoch, ordering: .releasing)
            ring.restart(at: lsn)
            positions.restart(at: lsn)
            state.pointee.buffers.discardAll()
            state.pointee.active = slot
            state.pointee.activeRangeDeletes = 0
            state.pointee.memTableCount = 1
            state.pointee.nextMemTableID += 1
            state.pointee.nextLSN = lsn + 1
            state.pointee.refusal = nil
            gate.broadcast()
        }
    }
}
