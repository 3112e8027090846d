import NexaBlockingClient
import NexaWire

/// What a failed request means for an import. Pure: the tests read like the table.
package enum SendFailure: Equatable {
    /// Send it again, after a while, on a new connection.
    case again
    /// The same, at another node.
    case elsewhere(Endpoint)
    /// No use.
    case final

    package init(_ error: ClientError) {
        switch error {
        case .cannotConnect, .timedOut, .disconnected: self = .again
        case .protocolViolation: self = .final
        case .refused(let refusal):
            switch refusal.code {
            case "NOT_LEADER":
                let leader = refusal.payload["leader"]?.stringValue.flatMap { Endpoint(parsing: $0) }
                self = leader.map { .elsewhere($0) } ?? .again
            case "OVERLOADED", "TIMEOUT", "WRITE_CONCERN_TIMEOUT", "SHUTTING_DOWN", "CANCELLED": self = .again
            default: self = .final
            }
        }
    }
}
