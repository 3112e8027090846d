/// One HTTP request under way: what was asked, by whom, and the means to answer it.

import HTTPTypes
import HummingbirdCore
import NIOCore
import NexaServer
import NexaWire

struct Exchange: Sendable {
    let request: Request
    let route: Route
    let parameters: QueryParameters
    let identity: Identity
    let channel: any Channel
    let access: NodeAccess
    let node: NodeContext
    let requestID: String
    /// How JSON is written.
    let style: JSONText.Style

    init(_ request: Request, _ route: Route, channel: any Channel, access: NodeAccess, node: NodeContext, requestID: String)
        throws(Problem)
    {
        self.request = request
        self.route = route
        self.channel = channel
        self.access = access
        self.node = node
        self.requestID = requestID
        parameters = try QueryParameters(request.uri.query)
        identity = try Identity(request.headers)
        switch parameters.text("bigints") {
        case nil, "number": style = .compact
        case "string": style = JSONText.Style(isExact: true, isCompact: true, writesLargeIntegersAsStrings: true)
        default: throw QueryParameters.bad("bigints", "is number or string")
        }
    }

    var method: HTTPRequest.Method { request.method }

    /// The body is a document a line, of any length.
    var sendsLines: Bool {
        guard case .action(_, .bulk) = route, let type = request.headers[.contentType] else { return false }
        return MediaType.isLines(MediaType.essence(type))
    }

    /// The database that the request names beside its path.
    var database: String? { parameters.text("database") ?? request.headers[.nexaDatabase] }

    // MARK: The node

    /// Runs `body` with a connection of whoever asks.
    func withNode<Result: Sendable>(
        _ body: (NodeConnection) async throws(Problem) -> Result
    ) async throws(Problem) -> Result {
        let (connection, giveBack) = try await access.connect(identity, channel)
        let departure = await Departure(channel, connection.client)
        do throws(Problem) {
            let result = try await body(connection)
            departure.end()
            giveBack()
            return result
        } catch {
            departure.end()
            if error.leavesConnectionUsable { giveBack() } else { connection.client.close() }
            throw error
        }
    }

    /// One request, one answer.
    func ask(_ frame: OutputBytes, isWrite: Bool = false) async throws(Problem) -> LocalFrame {
        nonisolated(unsafe) let frame = frame
        return try await withNode { connection throws(Problem) in try await connection.ask(frame, isWrite: isWrite) }
    }

    // MARK: The body

    /// Refuses a body of another type or coding, and one of somebody who may not log in: before a byte of it is waited for.
    func admitBody() async throws(Problem) {
        try checkContentType()
        if route != .logIn, node.authenticator.isRequired { try await withNode { _ throws(Problem) in } }
    }

    private func checkContentType() throws(Problem) {
        if let coding = request.headers[.contentEncoding], coding.lowercased() != "identity" {
            throw Problem(.unsupportedMediaType, "The body is in the coding \(coding); it must be as it is")
        }
        guard let field = request.headers[.contentType] else { return }
        let essence = MediaType.essence(field)
        guard MediaType.isJSON(essence) || sendsLines else {
            var types = MediaType.json
            if case .action(_, .bulk) = route { types += " or \(MediaType.lines)" }
            throw Problem(.unsupportedMediaType, "The body is of type \(essence); it must be \(types)")
        }
    }

    /// The whole body, JSON text. Bounded in size by the largest request of the node, and in time.
    func body() async throws(Problem) -> ByteBuffer {
        try await admitBody()
        return try await BodyReader(self).all()
    }

    /// The fields of the body, a map; nil when there is none.
    func optionalMap() async throws(Problem) -> RequestMap? {
        let text = try await body()
        if text.readableBytes == 0 { return nil }
        return try await work(on: text.readableBytes) { () throws(Problem) in try RequestMap(try Self.parse(text)) }
    }

    /// The fields of the body, a map.
    func map() async throws(Problem) -> RequestMap {
        guard let map = try await optionalMap() else { throw Problem(.badPayload, "The body is missing: a JSON object") }
        return map
    }

    static func parse(_ text: ByteBuffer) throws(Problem) -> [UInt8] {
        let output = OutputBytes(capacity: text.readableBytes + 16)
        try parse(text, into: output)
        return Array(output.bytes)
    }

    /// Appends the MessagePack of the JSON in `text`.
    static func parse(_ text: ByteBuffer, into output: OutputBytes) throws(Problem) {
        let failure = text.withUnsafeReadableBytes { bytes -> JSONError? in
            do throws(JSONError) {
                try JSONParser.parse(bytes, into: output)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw Problem(failure, of: "The body") }
    }

    /// The JSON text of a parameter as MessagePack.
    static func parse(parameter: (name: String, text: String)) throws(Problem) -> [UInt8] {
        do throws(JSONError) {
            return try JSONParser.parse(parameter.text)
        } catch {
            throw Problem(error, of: "The parameter '\(parameter.name)'")
        }
    }
}

extension Problem {
    init(_ error: JSONError, of what: String) {
        self.init(
            .badPayload, "\(what) is not JSON as it should be: \(error)",
            details: [.init("line", .int(Int64(error.line))), .init("column", .int(Int64(error.column)))])
    }
}
