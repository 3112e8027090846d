/// Where a read reads, when the request says more than nothing: tokens, staleness, read concern. Decided by `ReadGate`, the same pure
/// function on leader and follower; a read that has to wait gives its thread back and is asked again when the position has moved.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire

/// What a request that cannot be answered yet waits for, without a thread, a snapshot or a lock.
package struct RequestWait: Equatable, Sendable {
    enum Event: Equatable, Sendable {
        /// A read: this position is visible here.
        case visible(LSN)
        /// A read: the leader has said where to read.
        case readIndex
        /// A write: the gate has changed since it showed this many changes.
        case gate(changes: UInt64)
        /// A write: the time is over.
        case time
    }

    var event: Event
    /// In `MonotonicTime`.
    var deadline: UInt64
}

/// What a request that waited before brings along.
package struct WaitState: Equatable, Sendable {
    /// When it first waited, in `MonotonicTime`; 0: it did not.
    var since: UInt64 = 0
    /// Of a read; fixed when it first waited; 0: it did not.
    var deadline: UInt64 = 0
    /// What the leader answered; 0: not asked, `.max`: it could not confirm one.
    var index: LSN = 0
    /// Of a write that waits for the gate; 0: it did not.
    package var gateDeadline: UInt64 = 0
    /// Flow control has held it up already.
    package var isDelayed = false

    package init() {}
}

/// What the answer of the last command needs beyond this disk.
struct PendingConcern {
    var need: WriteConcern
    var timeoutMilliseconds: Int?
    /// Of `LeadershipLedger`.
    var leadership: UInt64
    var isWrite: Bool
    /// For reads; a write's position is what it is held for.
    var lsn: LSN = 0
    /// For reads: the end of the request's own time, in `MonotonicTime`; nil: it named none.
    var latest: UInt64?
}

extension Executor {
    /// How long a read on a node of a cluster waits for its token, when it does not say.
    private static let waitMillisecondsDefault = 1_000
    private static let waitMillisecondsMax = 60_000
    /// Some thirty years: whoever allows more allows anything.
    private static let stalenessMillisecondsMax = 1_000_000_000_000

    /// Where this read reads.
    @inline(__always)
    func readPosition(_ call: Call) throws(DocumentError) -> LSN {
        let lsn = readLSN(call)
        guard fields.has(.after) || fields.has(.maxStalenessMilliseconds) || fields.has(.readConcern) else { return lsn }
        return try clusterPosition(call, lsn)
    }

    @inline(never)
    private func clusterPosition(_ call: Call, _ lsn: LSN) throws(DocumentError) -> LSN {
        var request = ReadRequest()
        // A read index says from where on to read; what is read may be newer than that, and not committed yet.
        var mustBeCommitted = false
        request.after = try token()
        if let bound = try fields.count(.maxStalenessMilliseconds) {
            request.stalenessMax = Microseconds(min(bound, Self.stalenessMillisecondsMax)) * 1000
        }
        if let concern = try fields.text(.readConcern) {
            if concern.isEqual(to: "committed") {
                mustBeCommitted = true
            } else if concern.isEqual(to: "linearizable") {
                try addReadIndex(call, &request)
                mustBeCommitted = true
            } else if !concern.isEqual(to: "local") {
                throw DocumentError(
                    .badRequest, "'read_concern' is \"local\", \"committed\" or \"linearizable\"",
                    details: [.init("field", "read_concern")])
            }
        }
        let view = gate.readView(engine, visible: lsn)
        switch ReadGate.decide(request, view) {
        case .read:
            if mustBeCommitted, node.replication != nil {
                concern = PendingConcern(
                    need: .majority, timeoutMilliseconds: try waitMilliseconds(), leadership: gate.leadership, isWrite: false,
                    lsn: lsn, latest: fields.has(.timeoutMilliseconds) ? try deadline(call) : nil)
            }
            return lsn
        case .wait:
            var wanted = request.after?.lsn ?? 0
            if case .linearizable(let index) = request.concern { wanted = max(wanted, index) }
            try wait(call, for: wanted)
            throw stale(
                .position,
                "This node has not reached position \(request.after.map { "\($0.epoch):\($0.lsn)" } ?? "\(wanted)") in time", view
            )
        case .tokenLost(let common):
            throw DocumentError(
                .tokenLost,
                "The write behind this token was lost in a failover: the history that is left shares it up to LSN \(common) only",
                details: [.init("common_lsn", .uint(common)), .init("epoch", .uint(view.history.lastEpoch))])
        case .stale:
            throw stale(
                .staleness, "What this node has may be older than max_staleness_ms allows", view)
        }
    }

    func token() throws(DocumentError) -> LogPosition? {
        guard let after = fields.raw(.after) else { return nil }
        var reader = MessagePackReader(after)
        guard (try? reader.readArrayHeader()) == 2, let epoch = try? reader.readUInt64(), let lsn = try? reader.readUInt64()
        else {
            throw DocumentError(.badRequest, "'after' is [epoch, lsn]", details: [.init("field", "after")])
        }
        return LogPosition(epoch: epoch, lsn: lsn)
    }

    private func waitMilliseconds() throws(DocumentError) -> Int {
        let fallback = node.replication == nil ? 0 : Self.waitMillisecondsDefault
        let wait = min(try fields.count(.waitMilliseconds) ?? fallback, Self.waitMillisecondsMax)
        // The time for the whole request bounds the wait in it.
        guard let whole = try fields.count(.timeoutMilliseconds), whole > 0 else { return wait }
        return min(wait, whole)
    }

    /// Asks the leader first; a standalone node is its own leader.
    private func addReadIndex(_ call: Call, _ request: inout ReadRequest) throws(DocumentError) {
        guard node.replication != nil else { return }
        switch call.wait.index {
        case 0:
            pendingWait = RequestWait(event: .readIndex, deadline: try waitDeadline(call))
            throw .wouldBlock
        case .max:
            node.replication?.counters.answeredStale(.leader)
            throw DocumentError(
                .staleRead, "No leader confirmed in time that it still leads, so this read cannot be linearizable",
                details: [.init("retryable", .bool(true))])
        case let index: request.concern = .linearizable(index)
        }
    }

    private func waitDeadline(_ call: Call) throws(DocumentError) -> UInt64 {
        if call.wait.deadline > 0 { return call.wait.deadline }
        return MonotonicTime.nanoseconds() &+ UInt64(max(1, try waitMilliseconds())) &* 1_000_000
    }

    /// Throws `wouldBlock` with `pendingWait` set, unless the time to wait is over.
    private func wait(_ call: Call, for lsn: LSN) throws(DocumentError) {
        if call.wait.deadline == 0, try waitMilliseconds() == 0 { return }
        let deadline = try waitDeadline(call)
        guard MonotonicTime.nanoseconds() < deadline else { return }
        pendingWait = RequestWait(event: .visible(lsn), deadline: deadline)
        throw .wouldBlock
    }

    private func stale(_ reason: ReplicationCounters.StaleReason, _ message: String, _ view: ReadView) -> DocumentError {
        node.replication?.counters.answeredStale(reason)
        return DocumentError(
            .staleRead, message,
            details: [
                .init("epoch", .uint(view.history.lastEpoch)), .init("lsn", .uint(view.visible)),
                .init("retryable", .bool(true)),
            ])
    }

    // MARK: Writes

    /// Notes what the answer of a write has to wait for besides this node's disk.
    @inline(__always)
    func checkWriteConcern() throws(DocumentError) {
        if fields.has(.writeConcern) { try noteWriteConcern() }
    }

    @inline(never)
    private func noteWriteConcern() throws(DocumentError) {
        guard let raw = fields.raw(.writeConcern) else { return }
        var reader = MessagePackReader(raw)
        let need: WriteConcern
        switch reader.nextKind {
        case .int:
            guard let count = try? reader.readInt64(), count <= Int64(ReplicationGate.nodeCountMax) else { throw Self.badConcern }
            if count <= 1 { return }
            need = .nodes(Int(count))
        case .string:
            guard let text = try? reader.readStringBytes(), text.isEqual(to: "majority") else { throw Self.badConcern }
            need = .majority
        default: throw Self.badConcern
        }
        guard node.replication != nil else {
            if need == .majority { return }
            throw DocumentError(.badRequest, "'w' asks for more nodes than this one", details: [.init("field", "w")])
        }
        let asked = try fields.count(.writeTimeoutMilliseconds) ?? node.configuration.requestLimit.milliseconds
        let timeout = min(asked, RequestFields.timeMillisecondsMax)
        // The leadership before the gate: one that ended since this write was let in must not have its successor's positions count.
        let leadership = gate.leadership
        guard gate.leads else { throw gate.refusal }
        concern = PendingConcern(
            need: need, timeoutMilliseconds: timeout == 0 ? nil : timeout, leadership: leadership, isWrite: true)
    }

    private static var badConcern: DocumentError {
        DocumentError(
            .badRequest, "'w' is a number of nodes up to \(ReplicationGate.nodeCountMax), or \"majority\"",
            details: [.init("field", "w")])
    }

    /// The concern of the command that was just executed, for its answer at `lsn`; nil when it has none, or has what it needs already.
    func takeConcern(at lsn: LSN, requestID: UInt32?) -> AnswerConcern? {
        guard let pending = concern else { return nil }
        concern = nil
        let timeout = pending.timeoutMilliseconds.map { MonotonicTime.nanoseconds() &+ UInt64($0) &* 1_000_000 }
        let answer = AnswerConcern(
            need: pending.need, lsn: pending.isWrite ? lsn : max(lsn, pending.lsn), leadership: pending.leadership,
            deadline: [timeout, pending.latest].compactMap(\.self).min(),
            requestID: requestID, isWrite: pending.isWrite, epoch: engine.epoch, heldAt: MonotonicTime.nanoseconds())
        return gate.judge(answer, now: 0) == .met ? nil : answer
    }
}
