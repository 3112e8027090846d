// What can go wrong below the wire and above the engine, shaped so that the server turns it into an ERROR payload one to one.

import NexaWire

/// A refused document operation: the code and sentence of the ERROR answer, and its further fields.
package struct DocumentError: Error, Sendable {
    package var code: ErrorCode
    /// A sentence for a person, naming what is wrong and where.
    package var message: String
    /// Further fields of the ERROR payload, in order (`path`, `id`, `index` ...).
    package var details: [MessagePackValue.Entry]
    /// The operation would have to wait for the disk and the caller said that it must not: repeat it on a thread that may.
    /// Never leaves the node.
    package private(set) var isWouldBlock = false

    package init(_ code: ErrorCode, _ message: String, details: [MessagePackValue.Entry] = []) {
        self.code = code
        self.message = message
        self.details = details
    }

    package init(_ error: WireError) {
        self.init(error.code, error.message, details: error.details)
    }

    /// See `isWouldBlock`.
    package static let wouldBlock: DocumentError = {
        var error = DocumentError(.internal, "The operation needs the disk")
        error.isWouldBlock = true
        return error
    }()

    /// The ERROR payload's content.
    package var wireError: WireError { WireError(code, message, details: details) }
}
