import Glibc
import NexaWire

/// An ERROR answer as the node gave it. Codes stay text here: a newer node may have codes that this client does not know.
package struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
    package let code: String
    package let message: String
    /// The whole payload, with the details.
    package let payload: MessagePackValue

    package init(payload: MessagePackValue) {
        code = payload["code"]?.stringValue ?? "UNKNOWN"
        message = payload["error"]?.stringValue ?? "the node gave no reason"
        self.payload = payload
    }

    package var description: String { "\(code): \(message)" }
}

/// Why a call of the client failed. The cases differ in what a person or a script does next, so tools map them to exit codes.
package enum ClientError: Error, Sendable, CustomStringConvertible {
    /// Nobody answers at the address: the node is not running, or the address is wrong.
    case cannotConnect(Endpoint, reason: String)
    /// No answer within the time limit. Whether a write happened is unknown.
    case timedOut(operation: String)
    /// The other side closed the connection, or the network failed in the middle.
    case disconnected(operation: String, reason: String)
    /// What came back is not the NEXA protocol.
    case protocolViolation(String)
    /// The node understood and said no.
    case refused(Refusal)

    package var description: String {
        switch self {
        case .cannotConnect(let endpoint, let reason): "cannot connect to \(endpoint): \(reason)"
        case .timedOut(let operation): "no answer in time while \(operation)"
        case .disconnected(let operation, let reason): "connection lost while \(operation): \(reason)"
        case .protocolViolation(let what): "not a NEXA answer: \(what)"
        case .refused(let refusal): refusal.description
        }
    }

    /// The text of a system error number.
    package static func text(of errorNumber: Int32) -> String { String(cString: strerror(errorNumber)) }
}
