// Whether a read may be answered here and now: a pure function, the same on leader and follower. A token names a record, (epoch, LSN), not
// just a number: a log that has another record at that LSN has lost the token's branch, and saying so is better than answering from it.

import NexaStorage

/// What a read asks for.
package struct ReadRequest: Hashable, Sendable {
    package enum Concern: Hashable, Sendable {
        /// What this node has.
        case local
        /// What no later leader can lack.
        case committed
        /// Not before this LSN, which a read index gave.
        case linearizable(LSN)
    }

    package var concern: Concern
    /// A position that an earlier answer gave.
    package var after: LogPosition?
    package var stalenessMax: Microseconds?

    package init(concern: Concern = .local, after: LogPosition? = nil, stalenessMax: Microseconds? = nil) {
        self.concern = concern
        self.after = after
        self.stalenessMax = stalenessMax
    }
}

package enum ReadVerdict: Hashable, Sendable {
    /// Read at this LSN; the answer's token is its position.
    case read(LogPosition)
    /// Not yet: ask again when the visible or committed LSN has moved.
    case wait
    /// The token's record is not part of this cluster's history any more. `common` is the last LSN that its branch shares.
    case tokenLost(common: LSN)
    /// Nothing newer is to be had here within the asked bound; the client goes to the leader.
    case stale
}

/// The state of a node that reads depend on.
package struct ReadView: Sendable {
    package var history: EpochHistory
    package var end: LSN
    package var visible: LSN
    package var committed: LSN
    package var isLeader: Bool
    /// An upper bound; nil when the node cannot tell. A leader is 0.
    package var staleness: Microseconds?

    package init(history: EpochHistory, end: LSN, visible: LSN, committed: LSN, isLeader: Bool, staleness: Microseconds?) {
        self.history = history
        self.end = end
        self.visible = visible
        self.committed = committed
        self.isLeader = isLeader
        self.staleness = staleness
    }
}

package enum ReadGate {
    package static func decide(_ request: ReadRequest, _ view: ReadView) -> ReadVerdict {
        let limit: LSN
        switch request.concern {
        case .local: limit = view.visible
        case .committed: limit = min(view.visible, view.committed)
        case .linearizable(let lsn):
            limit = view.visible
            guard limit >= lsn else { return .wait }
        }
        if let after = request.after {
            switch place(of: after, view) {
            case .present: guard limit >= after.lsn else { return .wait }
            case .unknown: return .wait
            case .lost(let common): return .tokenLost(common: common)
            }
        }
        if let bound = request.stalenessMax {
            guard let staleness = view.staleness, staleness <= bound else { return .stale }
        }
        return .read(view.history.position(at: limit))
    }

    private enum Place {
        case present, unknown
        case lost(common: LSN)
    }

    /// Where a token's record stands in this log. "Lost" is said only when the other branch is committed: a leader that has been deposed and does
    /// not know it yet may be the lost one itself.
    private static func place(of token: LogPosition, _ view: ReadView) -> Place {
        guard token.lsn > 0 else { return .present }
        let here = view.history.epoch(at: min(token.lsn, view.end)) ?? 0
        if token.lsn <= view.end && here == token.epoch { return .present }
        // Older than the history is kept: that many failovers ago.
        if let first = view.history.entries.first, token.lsn < first.firstLSN { return .present }
        // The first record of a leadership that came after the token's, at or in front of the token's place, has overwritten it.
        guard let usurper = view.history.entries.first(where: { $0.epoch > token.epoch && $0.firstLSN <= token.lsn }),
            usurper.firstLSN <= view.end
        else { return .unknown }
        return view.committed >= usurper.firstLSN ? .lost(common: usurper.firstLSN - 1) : .unknown
    }
}
