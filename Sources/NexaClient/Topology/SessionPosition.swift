import NIOConcurrencyHelpers
import NexaWire

/// How far this client has seen the store: the largest position of its writes, and of reads that any node may answer. Reads on another
/// node than the one that gave it carry it as `after`, so a client reads its own writes wherever it reads.
package final class SessionPosition: Sendable {
    private struct State {
        var token: PositionToken?
        var host: HostAddress?
    }
    private let state = NIOLockedValueBox(State())

    package init() {}

    /// An answer of `host` told its position.
    package func advance(to token: PositionToken, by host: HostAddress) {
        state.withLockedValue { state in
            if let known = state.token, (known.epoch, known.lsn) >= (token.epoch, token.lsn) { return }
            state.token = token
            state.host = host
        }
    }

    /// What a read on `host` has to ask for; nil when the node has it for sure.
    package func needed(on host: HostAddress) -> PositionToken? {
        state.withLockedValue { $0.host == host ? nil : $0.token }
    }

    /// The write behind the position was lost in a failover: what is left begins anew.
    package func forget() { state.withLockedValue { $0 = State() } }
}
