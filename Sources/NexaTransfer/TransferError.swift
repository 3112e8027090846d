import NexaBlockingClient

/// Why a transfer ended before its end. The cases differ in what a person does next, so the commands map them to exit codes.
package enum TransferError: Error, Sendable, CustomStringConvertible {
    /// A file, its content, or the state of an earlier run is not what it must be.
    case unusable(String)
    /// The system refused to read or write.
    case system(String)
    /// A record was refused, and the import was to stop there.
    case refused(Reject)
    /// It was told to stop while it waited for its input.
    case interrupted
    /// The node cannot be reached or refused the whole request.
    case client(ClientError)

    package var description: String {
        switch self {
        case .unusable(let what), .system(let what): what
        case .refused(let reject): "\(reject)"
        case .interrupted: "interrupted"
        case .client(let error): error.description
        }
    }
}

/// Why one record cannot be a document.
package struct RecordProblem: Error, Equatable, Sendable {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }
}
