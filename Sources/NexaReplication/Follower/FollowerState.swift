// A follower's side of its one upstream connection.
//
//     idle --(retry time)--> connecting --> greeting --(welcome)--> adopting (a higher epoch is promised first)
//       ^                                                             |
//       |                          +----------------------------------+--------------------+
//       |                       streaming   comparing --> cutting --> streaming       installing --> streaming
//       +------(closed)------------+
//
// Cutting and installing change the log: they end with the shell's answer even when the connection is gone, and until then nothing else is
// begun.

import NexaStorage

/// What a follower knows of its upstream.
struct FollowerState: Sendable {
    enum Phase: Sendable, Equatable {
        case idle
        case connecting
        /// HELLO is sent.
        case greeting
        /// The welcome's epoch is being promised.
        case adopting
        /// The own chain at the place to cut to is being read.
        case comparing
        case cutting
        case installing
        case streaming
    }

    var phase = Phase.idle
    /// Whom to follow; nil while nobody is known.
    var address: String?
    /// The present connection; nil when there is none, also while `cutting` or `installing` outlives its connection.
    var session: SessionID?
    var welcome: Welcome?
    /// The leadership of the session, once promised.
    var epoch: Epoch = 0
    var via: [NodeID] = []
    var retryAt: Microseconds = 0
    /// A node that stood up by itself and could not: when it tries again, unless somebody gave it an upstream.
    var resumeAt: Microseconds?
    var lastHeard: Microseconds = 0
    var lastAck: Microseconds = 0
    /// The `sentAt` of the upstream's last frame.
    var theirClock: Microseconds = 0
    /// The next hello asks for a snapshot: chains differ.
    var wantsSnapshot = false
    var staleness = Staleness()
    /// Linearizable reads that wait for the leader's word.
    var reads = RelayedReads()

    /// The log is being changed by the shell.
    var isChangingLog: Bool { phase == .cutting || phase == .installing }
}
