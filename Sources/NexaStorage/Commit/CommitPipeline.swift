// From a batch to an acknowledged LSN.
//
//     1  outside any lock   compress, hash the payload
//     2  under the gate     check room in memtable, log buffer and ring; take the LSN and a place in the log buffer
//     3  outside            copy the payload, fill the record header; insert into the memtable; publish in the ring
//     4  the log role       writes and syncs everything that gathered meanwhile (LogRole.swift)
//
// Invariants, all under the gate: LSNs are handed out densely, in the order in which their records lie in the log buffers;
// a batch lies in exactly one memtable; a memtable is closed before a higher LSN goes to the next one. A batch that has an
// LSN never fails: everything that can refuse it comes before.

import Synchronization

/// The pipeline of one engine.
final class CommitPipeline: Sendable {
    /// Guards what is marked as such; committers sleep on it when they wait for room.
    let gate = NexaCondition()
    let ring: AppliedRing
    let positions: LogPositions
    let plan: MemoryPlan
    let options: EngineOptions
    /// Changed under the gate only.
    let currentEpoch: Atomic<Epoch>
    /// Memory of flushed memtables, for the next ones.
    let memTablePool: MemTablePool

    /// Guarded by `gate`. Behind a pointer, so that no access is checked at run time once more.
    nonisolated(unsafe) let state: UnsafeMutablePointer<State>

    struct State {
        var nextLSN: LSN
        var buffers: LogBuffers
        var active: MemTableSlot
        /// Range deletes of the active memtable, in flight included.
        var activeRangeDeletes = 0
        /// Memtables that exist: the active one and those that wait for their flush.
        var memTableCount: Int
        var nextMemTableID: UInt64
        /// Why no batch is taken; nil while they are.
        var refusal: StorageError?
        /// Records come from a leader; commits are refused.
        var isFollowing: Bool
        var waiterCount = 0
        var batchCount: UInt64 = 0
        var operationCount: UInt64 = 0
        var batchByteCount: UInt64 = 0
        var stallNanoseconds: UInt64 = 0
    }

    /// What the pipeline asks of the engine around it.
    struct Hooks: Sendable {
        /// A memtable was closed; `active` is the new one. Called under the gate.
        var didRotate: @Sendable (_ closed: MemTableSlot, _ active: MemTableSlot) -> Void
        /// Room is wanted. True when the calling thread has made some; false to sleep until somebody else does. Called
        /// without the gate.
        var makeRoom: @Sendable (Room) throws(StorageError) -> Bool
    }

    /// What a committer waits for.
    enum Room: String, Sendable {
        case memTable = "memtable"
        case logBuffer = "log buffer"
        case ring = "commit ring"
    }

    /// Set once, by `connect`, before the first commit.
    nonisolated(unsafe) private(set) var hooks: Hooks!

    init(
        options: EngineOptions, plan: MemoryPlan, lastLSN: LSN, epoch: Epoch, active: MemTableSlot, memTableCount: Int,
        nextMemTableID: UInt64
    ) {
        self.options = options
        self.plan = plan
        currentEpoch = Atomic(epoch)
        memTablePool = MemTablePool(capacity: plan.memTableByteCount)
        ring = AppliedRing(applied: lastLSN)
        positions = LogPositions(lastLSN)
        state = .allocate(capacity: 1)
        state.initialize(
            to: State(
                nextLSN: lastLSN + 1, buffers: LogBuffers(byteCount: plan.logBufferByteCount), active: active,
                activeRangeDeletes: active.table.rangeTombstones.tombstones.count, memTableCount: memTableCount,
                nextMemTableID: nextMemTableID, isFollowing: options.follows))
    }

    deinit {
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// The leadership that the next record belongs to.
    var epoch: Epoch { currentEpoch.load(ordering: .acquiring) }

    /// Tells the pipeline whom it works for.
    func connect(_ hooks: Hooks) { self.hooks = hooks }

    /// Steps 1 to 3. Returns the LSN of the batch. With `mayBlock` false, throws `wouldBlock` where it would have to wait for a flush.
    func commit(
        _ batch: WriteBatch, type: RecordType, durability: Durability, mayBlock: Bool
    ) throws(StorageError) -> LSN {
        guard batch.byteCount <= options.batchByteCountMax else {
            throw .tooLarge(what: "batch", byteCount: batch.byteCount, limit: options.batchByteCountMax)
        }
        guard batch.rangeDeleteCount <= CommitPipeline.rangeDeleteCountMax else {
            throw .tooLarge(
                what: "number of range deletes in a batch", byteCount: batch.rangeDeleteCount,
                limit: CommitPipeline.rangeDeleteCountMax)
        }
        let record = RecordPayload(batch, compresses: options.compressesLog)
        let recordByteCount = RecordHeader.recordByteCount(storedByteCount: record.stored.count)
        let tableByteCount = Self.arenaByteCountMax(payloadByteCount: batch.byteCount, operationCount: batch.count)

        gate.lock()
        do throws(StorageError) {
            try waitForRoom(
                recordByteCount: recordByteCount, tableByteCount: tableByteCount, rangeDeletes: batch.rangeDeleteCount,
                mayBlock: mayBlock)
            if state.pointee.isFollowing { throw StorageError.following }
        } catch {
            gate.unlock()
            throw error
        }
        let lsn = state.pointee.nextLSN
        let epoch = epoch
        state.pointee.nextLSN = lsn + 1
        state.pointee.activeRangeDeletes += batch.rangeDeleteCount
        state.pointee.batchCount += 1
        state.pointee.operationCount += UInt64(batch.count)
        state.pointee.batchByteCount += UInt64(batch.byteCount)
        let slot = state.pointee.active
        slot.promise(tableByteCount)
        let (buffer, place) = state.pointee.buffers.reserve(recordByteCount, lsn: lsn, needsSync: durability == .disk)
        positions.noteReserved(lsn)
        gate.unlock()

        (place + RecordHeader.byteCount).copyMemory(from: record.stored.baseAddress!, byteCount: record.stored.count)
        RecordHeader.fill(
            place, type: type, codec: record.codec, lsn: lsn, epoch: epoch, operationCount: UInt32(batch.count),
            storedByteCount: record.stored.count, rawByteCount: batch.byteCount, payloadHash: record.hash)
        buffer.markFilled(recordByteCount)
        Self.apply(batch.bytes, to: slot.table, lsn: lsn)
        slot.settle(tableByteCount)
        ring.publish(lsn)
        return lsn
    }

    /// Inserts every operation; the space was reserved, so it is there.
    static func apply(_ payload: UnsafeRawBufferPointer, to table: MemTable, lsn: LSN) {
        var cursor = BatchCursor(payload)
        while let operation = try! cursor.next() {
            let inserted =
                operation.kind == .rangeDelete
                ? table.insertRangeTombstone(start: operation.key, end: operation.value, lsn: lsn)
                : table.insert(kind: operation.kind, key: operation.key, value: operation.value, lsn: lsn)
            precondition(inserted, "a memtable refused an entry whose space was reserved")
        }
    }

    /// Range deletes of one memtable: each reader of it cuts them into fragments.
    static let rangeDeleteCountMax = 4096

    /// Upper bound of what a batch takes in a memtable.
    static func arenaByteCountMax(payloadByteCount: Int, operationCount: Int) -> Int {
        payloadByteCount + operationCount * entryOverheadMax
    }

    /// What an entry takes at most beside its key and value.
    private static let entryOverheadMax = MemTable.insertByteCountMax(keyByteCount: 0, valueByteCount: 0) + 8
}
