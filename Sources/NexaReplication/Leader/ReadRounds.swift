// Linearizable reads: a question gets the LSN that was visible on the leader when it came, once a commit quorum has answered a frame that
// was sent after it came (so no newer leader had opened by then) and the commit point has reached that LSN (so what is read will not be
// taken back).

import NexaStorage

/// Who asked: a client of this node, or a follower on behalf of its client.
enum ReadAsker: Hashable, Sendable {
    case local(WaiterID)
    case follower(SessionID, id: UInt64)
}

extension CommitPoint {
    /// A quorum answered something that was sent after the question came, and the commit point has reached what it is about.
    func confirms(_ round: ReadRounds.Round, committed: LSN) -> Bool {
        committed >= round.lsn && confirmations(since: round.stamp) >= quorum
    }
}

/// Questions of one leadership that are not answered yet.
struct ReadRounds: Sendable {
    struct Round: Sendable {
        let asker: ReadAsker
        let lsn: LSN
        /// A frame with this stamp, or a later one, has to be answered.
        let stamp: Microseconds
        let deadline: Microseconds
    }

    private(set) var rounds: [Round] = []

    var isEmpty: Bool { rounds.isEmpty }
    /// When the first of them gives up; nil when nobody waits. O(n).
    var earliestDeadline: Microseconds? { rounds.lazy.map(\.deadline).min() }

    mutating func add(_ round: Round) { rounds.append(round) }

    /// Takes out what is decided by now.
    mutating func take(where isDone: (Round) -> Bool) -> [Round] {
        guard rounds.contains(where: isDone) else { return [] }
        let done = rounds.filter(isDone)
        rounds.removeAll(where: isDone)
        return done
    }
}
