/// Whether a write is executed now, later or not at all, on a node of a cluster: while leadership is handed over it waits at its
/// connection, while followers lag it is held up, elsewhere it is refused. Nothing here is passed by a write of a node whose gate is open.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire

extension Executor {
    /// Returns when the write may go on; throws `wouldBlock` with `pendingWait` set when it has to wait.
    @inline(never)
    func admitWrite(_ call: Call) throws(DocumentError) {
        let now = MonotonicTime.nanoseconds()
        // Before the look at the gate: what changes behind it ends the wait at once.
        let changes = gate.doorChanges
        switch gate.admit(call.wait, now: now) {
        case .admit: return
        case .refuse: throw gate.refusal
        case .wait(let longest):
            let deadline = min(longest, try deadline(call) ?? .max)
            guard now < deadline else { throw gate.refusal }
            pendingWait = RequestWait(event: .gate(changes: changes), deadline: deadline)
        case .delay(let nanoseconds):
            node.replication?.counters.throttled(nanoseconds: nanoseconds)
            pendingWait = RequestWait(event: .time, deadline: now &+ nanoseconds)
        }
        throw .wouldBlock
    }

    /// The log was sealed between the look at the gate and the commit, so nothing was committed: the write is one that came a moment later.
    @inline(never)
    func sealed(_ error: DocumentError, _ call: Call) -> DocumentError {
        guard error.code == .readOnly, node.replication != nil, !error.isWouldBlock else { return error }
        do throws(DocumentError) {
            try admitWrite(call)
            // It is open again by now.
            guard !call.wait.isDelayed else { return error }
            pendingWait = RequestWait(event: .time, deadline: MonotonicTime.nanoseconds() &+ 1_000_000)
            return .wouldBlock
        } catch {
            return error
        }
    }
}
