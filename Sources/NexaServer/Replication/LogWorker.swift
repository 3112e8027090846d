// The thread that changes a node's log on behalf of replication: appends what came from the leader and syncs it, writes promises, begins
// epochs. One queue in the order of the effects, so that an append that was decided before a promise is in the log before it.
//
//     replication loop ── tasks ──► queue ──► append, append, append ──► one write + fdatasync for all of them ──► news to the loop
//
// While a sync is under way the next batches gather: the group grows with the load. What waits is bounded by the upstream's window.

import NIOCore
import NexaReplication
import NexaStorage

/// Work in order, on one thread.
final class LogWorker: Sendable {
    enum Work: Sendable {
        /// Records of one batch; `previousChain` is the leader's chain in front of them.
        case append(ByteBuffer, previousChain: UInt64)
        /// Anything else; runs after everything in front of it is done and on disk.
        case call(@Sendable () -> Void)
    }

    private let engine: Engine
    private let onProgress: @Sendable () -> Void
    private let onFailure: @Sendable (String) -> Void
    private let bell = NexaCondition()
    // Guarded by `bell`.
    nonisolated(unsafe) private var queue: [Work] = []
    nonisolated(unsafe) private var isStopped = false
    /// Started last, joined by `stop`.
    nonisolated(unsafe) private var thread: NexaThread?

    /// `onProgress` is called when what was appended is visible or on its way to the disk.
    init(
        name: String = "nexa-follow", engine: Engine, onProgress: @escaping @Sendable () -> Void,
        onFailure: @escaping @Sendable (String) -> Void
    ) {
        self.engine = engine
        self.onProgress = onProgress
        self.onFailure = onFailure
        thread = NexaThread(name: name) { [unowned self] in run() }
    }

    func submit(_ work: Work) {
        bell.withLock {
            queue.append(work)
            bell.signal()
        }
    }

    /// Does what is queued and ends the thread.
    func stop() {
        bell.withLock {
            isStopped = true
            bell.signal()
        }
        thread?.join()
        thread = nil
    }

    private func run() {
        var batch: [Work] = []
        while true {
            batch.removeAll(keepingCapacity: true)
            let goesOn = bell.withLock {
                while queue.isEmpty && !isStopped { bell.wait() }
                swap(&batch, &queue)
                return !batch.isEmpty
            }
            guard goesOn else { return }
            perform(batch)
        }
    }

    private func perform(_ batch: [Work]) {
        var hasAppended = false
        for work in batch {
            switch work {
            case .append(let records, let previousChain):
                do throws(ReplicationFault) {
                    try records.withRecords { bytes throws(ReplicationFault) in
                        _ = try engine.appendReplicated(bytes, previousChain: previousChain)
                    }
                    hasAppended = true
                } catch {
                    onFailure("\(error)")
                }
            case .call(let body):
                if hasAppended { engine.flushLogInline() }
                hasAppended = false
                body()
            }
        }
        if hasAppended {
            engine.flushLogInline()
            onProgress()
        }
    }
}

extension ByteBuffer {
    /// The readable bytes, for a call with typed errors.
    fileprivate func withRecords(
        _ body: (UnsafeRawBufferPointer) throws(ReplicationFault) -> Void
    ) throws(ReplicationFault) {
        try withUnsafeReadableBytes { bytes in Result { () throws(ReplicationFault) in try body(bytes) } }.get()
    }
}
