// The `code` of an ERROR payload: what a program decides on. The sentence beside it is for a person and may change.

/// The machine-readable reason in an ERROR answer.
package enum ErrorCode: String, Sendable, CaseIterable {
    case badFrame = "BAD_FRAME"
    case badPayload = "BAD_PAYLOAD"
    case badRequest = "BAD_REQUEST"
    case unknownType = "UNKNOWN_TYPE"
    case unsupported = "UNSUPPORTED"
    case unauthenticated = "UNAUTHENTICATED"
    case forbidden = "FORBIDDEN"
    case tooLarge = "TOO_LARGE"
    case resultTooLarge = "RESULT_TOO_LARGE"
    case noSuchCollection = "NO_SUCH_COLLECTION"
    case noSuchDatabase = "NO_SUCH_DATABASE"
    case noSuchIndex = "NO_SUCH_INDEX"
    case noSuchUser = "NO_SUCH_USER"
    case badFilter = "BAD_FILTER"
    case badUpdate = "BAD_UPDATE"
    case duplicate = "DUPLICATE"
    case conflict = "CONFLICT"
    case notLeader = "NOT_LEADER"
    case staleRead = "STALE_READ"
    case tokenLost = "TOKEN_LOST"
    case historyLost = "HISTORY_LOST"
    case subscriptionLost = "SUBSCRIPTION_LOST"
    case writeConcernTimeout = "WRITE_CONCERN_TIMEOUT"
    case timeout = "TIMEOUT"
    case cancelled = "CANCELLED"
    case overloaded = "OVERLOADED"
    case readOnly = "READ_ONLY"
    case storageFailed = "STORAGE_FAILED"
    case corruption = "CORRUPTION"
    case shuttingDown = "SHUTTING_DOWN"
    case `internal` = "INTERNAL"
}

/// A failure as an ERROR payload tells it: `{code, error, ...details}`.
package struct WireError: Error, Sendable, Equatable {
    package var code: ErrorCode
    /// A sentence for a person. Never contains "Not found" (existing clients search error texts for it) and never echoes raw input bytes.
    package var message: String
    /// Further fields of the payload, in order.
    package var details: [MessagePackValue.Entry]

    package init(_ code: ErrorCode, _ message: String, details: [MessagePackValue.Entry] = []) {
        self.code = code
        self.message = message
        self.details = details
    }
}
