/// What went wrong, as RFC 9457 tells it: one shape for every error of the gateway, whoever found it.
///
///     {"type":"urn:nexadb:error:duplicate","title":"Duplicate","status":409,"detail":"...","code":"DUPLICATE",...,"error":"..."}
///
/// `code` is that of the wire protocol where the node said it; `error` repeats `detail` for clients of older gateways. This is the one
/// place where codes become statuses.

import HTTPTypes
import NIOCore
import NexaWire

package struct Problem: Error {
    /// What only HTTP can get wrong.
    enum Kind: String {
        case badRequest = "BAD_REQUEST"
        case badPayload = "BAD_PAYLOAD"
        case forbidden = "FORBIDDEN"
        case notFound = "NOT_FOUND"
        case methodNotAllowed = "METHOD_NOT_ALLOWED"
        case notAcceptable = "NOT_ACCEPTABLE"
        case requestTimeout = "REQUEST_TIMEOUT"
        case preconditionFailed = "PRECONDITION_FAILED"
        case tooLarge = "TOO_LARGE"
        case unsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"
        case misdirected = "MISDIRECTED"
        case unsupported = "UNSUPPORTED"
        case shuttingDown = "SHUTTING_DOWN"
        case overloaded = "OVERLOADED"
        case `internal` = "INTERNAL"

        var status: Int {
            switch self {
            case .badRequest, .badPayload: 400
            case .forbidden: 403
            case .notFound: 404
            case .methodNotAllowed: 405
            case .notAcceptable: 406
            case .requestTimeout: 408
            case .preconditionFailed: 412
            case .tooLarge: 413
            case .unsupportedMediaType: 415
            case .misdirected: 421
            case .overloaded: 429
            case .internal: 500
            case .unsupported: 501
            case .shuttingDown: 503
            }
        }
    }

    package var status: Int
    package var code: String
    var detail: String
    /// Further members, in order.
    var details: [MessagePackValue.Entry]
    /// Headers that belong to it.
    var fields = HTTPFields()
    /// The connection to the node is as good as before.
    var leavesConnectionUsable = true
    /// What is left of the request's body is not read.
    var closesConnection = false

    init(_ kind: Kind, _ detail: String, details: [MessagePackValue.Entry] = []) {
        status = kind.status
        code = kind.rawValue
        self.detail = detail
        self.details = details
        noteRetry()
    }

    /// An ERROR or DUPLICATE answer of the node.
    init(answer payload: ByteBuffer) {
        let value = payload.withUnsafeReadableBytes { try? MessagePackValue(decoding: $0) }
        code = value?["code"]?.stringValue ?? ErrorCode.internal.rawValue
        detail = value?["error"]?.stringValue ?? "The node answered with an error that cannot be read"
        details = (value?.mapValue ?? []).filter { $0.key != "code" && $0.key != "error" }
        status = Self.status(of: ErrorCode(rawValue: code) ?? .internal, field: value?["field"]?.stringValue)
        noteRetry()
        if status == 401 { leavesConnectionUsable = false }
        if code == ErrorCode.storageFailed.rawValue { details.append(.init("outcome", "unknown")) }
    }

    private mutating func noteRetry() {
        if status == 429 || status == 503 { fields[.retryAfter] = "1" }
    }

    package static func status(of code: ErrorCode, field: String? = nil) -> Int {
        switch code {
        // The request can be read; what it wants to store breaks a rule for keys.
        case .badRequest where field == "key" || field == "_id", .tooLarge where field == "key": 422
        case .badFrame, .badPayload, .badRequest, .badFilter, .badUpdate: 400
        case .unauthenticated: 401
        case .forbidden: 403
        case .noSuchCollection, .noSuchDatabase, .noSuchIndex, .noSuchUser: 404
        case .duplicate, .conflict, .tokenLost: 409
        case .historyLost, .subscriptionLost: 410
        case .tooLarge, .resultTooLarge: 413
        case .notLeader: 421
        case .overloaded: 429
        case .unknownType, .unsupported: 501
        case .staleRead, .readOnly, .storageFailed, .shuttingDown, .cancelled: 503
        case .timeout, .writeConcernTimeout: 504
        case .corruption, .internal: 500
        }
    }

    /// The body. `instance` is the request's path.
    func body(instance: String, requestID: String) -> MessagePackValue {
        var entries: [MessagePackValue.Entry] = [
            .init("type", .string("urn:nexadb:error:" + code.lowercased().replacing("_", with: "-"))),
            .init("title", .string(code.prefix(1) + code.dropFirst().lowercased().replacing("_", with: " "))),
            .init("status", .int(Int64(status))), .init("detail", .string(detail)), .init("instance", .string(instance)),
            .init("code", .string(code)), .init("request_id", .string(requestID)), .init("error", .string(detail)),
        ]
        // What the node adds never takes the place of a member above.
        let known = Set(entries.compactMap(\.key.stringValue))
        entries += details.filter { !known.contains($0.key.stringValue ?? "") }
        return .map(entries)
    }
}
