import NexaWire

/// One committed change, in the order in which all nodes made it.
public struct ChangeEvent<Element: Codable & Sendable>: Sendable {
    /// `insert`, `update`, `delete`, `dropCollection`, ...; newer nodes may have more.
    public let operation: String
    public let database: String
    public let collection: String
    /// The key of the document; nil where the change concerns none.
    public let key: String?
    /// The document after the change; nil where there is none.
    public let document: Element?
    /// The fields that an update set; nil otherwise.
    public let updatedFields: Document?
    /// Where the stream stands behind this event: for `resumeAfter`, on any node.
    public let resumeToken: ResumeToken
    /// The event as it came.
    public let raw: Document

    init(_ reply: Reply) throws(NexaError) {
        let event = try reply.document()
        guard let operation = event["operationType"]?.stringValue, let token = event["resume_token"]?.binaryValue else {
            throw NexaError(.protocolViolation, "A CHANGE_EVENT without operationType or resume_token")
        }
        self.operation = operation
        raw = event
        let place = event["ns"]?.documentValue
        database = place?["db"]?.stringValue ?? ""
        collection = place?["coll"]?.stringValue ?? ""
        key = event["documentKey"]?.documentValue?["_id"]?.stringValue
        updatedFields = event["updateDescription"]?.documentValue?["updatedFields"]?.documentValue
        resumeToken = ResumeToken(bytes: token)
        document =
            if let full = event["fullDocument"]?.documentValue { try full.decode(Element.self) } else { nil }
    }
}

/// A position in the stream of changes: opaque, to be kept and given back.
public struct ResumeToken: Sendable, Hashable, Codable {
    public let bytes: [UInt8]

    public init(bytes: [UInt8]) { self.bytes = bytes }
}

/// What to watch.
public struct WatchOptions: Sendable {
    /// `insert`, `update`, `delete`; nil: all.
    public var operations: [String]?
    /// Begin behind that event; nil: with what happens from now on.
    public var resumeAfter: ResumeToken?
    /// Bytes of events that wait for a slow reader. Beyond it the client lets the stream go and takes it up again later.
    public var bufferByteCount = 4 << 20

    public init(operations: [String]? = nil, resumeAfter: ResumeToken? = nil) {
        self.operations = operations
        self.resumeAfter = resumeAfter
    }
}
