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

    /// What a read on a node has to ask for; nil when the node has it for sure: it told the position, and leads. One that follows another
    /// by now may have had to give it up.
    package func needed(on host: HostAddress, leads: Bool) -> PositionToken? {
        state.withLockedValue { $0.host == host && leads ? nil : $0.token }
    }

    /// As its greeting said: what a node gives up when it follows another ends its connections.
    func needed(on connection: Connection) -> PositionToken? {
        needed(on: connection.host, leads: connection.hello.role == .primary)
    }

    /// The write behind the position was lost in a failover: what is left begins anew.
    package func forget() { state.withLockedValue { $0 = State() } }
}
