import NexaWire

/// Why a call failed: `kind` for a program to decide on, `message` for a person.
///
/// A struct around one reference, so that passing it on costs a word. New kinds may come with new versions: switch with a default.
public struct NexaError: Error, Sendable {
    /// What a program does next. The names are those of the other clients; clients/conformance/README.md lists them.
    public enum Kind: String, Sendable, CaseIterable {
        /// The connection could not be made or was lost, and the operation certainly did nothing or only read.
        case connection = "Connection"
        /// The connection was lost, or the time was over, while a write was on its way: it may or may not have happened.
        case unknownOutcome = "UnknownOutcome"
        /// The other side does not speak NEXA as it should.
        case protocolViolation = "Protocol"
        /// The log-in was refused.
        case authentication = "Authentication"
        /// Logged in, but not allowed to do this.
        case permission = "Permission"
        /// The budget of the operation is over; it did nothing or only read.
        case timeout = "Timeout"
        /// The task was cancelled.
        case cancelled = "Cancelled"
        /// More operations wait than `maxQueue`.
        case queueFull = "QueueFull"
        /// No node that the operation could use was found in time. The message tells every host and its last error.
        case serverSelection = "ServerSelection"
        case duplicateKey = "DuplicateKey"
        case conflict = "Conflict"
        /// What was asked for makes no sense: a bad address, name, key, filter, update or document.
        case validation = "Validation"
        case notLeader = "NotLeader"
        /// The node cannot show what a read asked for, or the write behind the session's position was lost.
        case staleRead = "StaleRead"
        case overloaded = "Overloaded"
        case tooLarge = "TooLarge"
        case writeConcern = "WriteConcern"
        case readOnly = "ReadOnly"
        /// Any other refusal of the node: see `code`.
        case server = "Server"
    }

    private final class Storage: Sendable {
        let kind: Kind
        let message: String
        let code: String?
        let isTimeout: Bool
        let details: Document?

        init(kind: Kind, message: String, code: String?, isTimeout: Bool, details: Document?) {
            self.kind = kind
            self.message = message
            self.code = code
            self.isTimeout = isTimeout
            self.details = details
        }
    }

    private let storage: Storage

    public var kind: Kind { storage.kind }
    /// A sentence for a person. Never holds a password.
    public var message: String { storage.message }
    /// The code that the node sent, as docs/protocol.md spells it; nil when the failure is the client's own.
    public var code: String? { storage.code }
    /// Whether time was the reason; also of an `unknownOutcome`.
    public var isTimeout: Bool { storage.isTimeout }
    /// The whole ERROR payload of the node: `operator`, `path`, `limit` and the like.
    public var details: Document? { storage.details }

    package init(_ kind: Kind, _ message: String, code: String? = nil, isTimeout: Bool = false, details: Document? = nil) {
        storage = Storage(kind: kind, message: message, code: code, isTimeout: isTimeout || kind == .timeout, details: details)
    }

    /// From the payload of an ERROR or DUPLICATE answer.
    package init(refusal payload: Document) {
        let code = payload["code"]?.stringValue ?? "UNKNOWN"
        let text = payload["error"]?.stringValue ?? "the node gave no reason"
        self.init(Self.kind(of: code), text, code: code, details: payload)
    }

    private static func kind(of code: String) -> Kind {
        switch code {
        case "UNAUTHENTICATED": .authentication
        case "FORBIDDEN": .permission
        case "DUPLICATE": .duplicateKey
        case "CONFLICT": .conflict
        case "BAD_REQUEST", "BAD_FILTER", "BAD_UPDATE", "BAD_PAYLOAD": .validation
        case "NOT_LEADER": .notLeader
        case "STALE_READ", "TOKEN_LOST": .staleRead
        case "OVERLOADED": .overloaded
        case "TOO_LARGE", "RESULT_TOO_LARGE": .tooLarge
        case "WRITE_CONCERN_TIMEOUT": .writeConcern
        case "READ_ONLY", "STORAGE_FAILED": .readOnly
        case "TIMEOUT": .timeout
        case "CANCELLED": .cancelled
        default: .server
        }
    }
}

extension NexaError: CustomStringConvertible {
    public var description: String { code.map { "\(kind.rawValue) (\($0)): \(message)" } ?? "\(kind.rawValue): \(message)" }
}
