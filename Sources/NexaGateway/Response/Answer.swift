/// A response before it is written: status, headers, and a body that is there or that is made while it is written.

import HTTPTypes
import HummingbirdCore
import NIOCore
import NexaWire

struct Answer {
    enum Body {
        case none
        case bytes(ByteBuffer)
        case stream(@Sendable (inout any ResponseBodyWriter) async throws -> Void)
    }

    var status: Int
    var fields = HTTPFields()
    var body = Body.none

    init(status: Int, fields: HTTPFields = HTTPFields()) {
        self.status = status
        self.fields = fields
    }

    /// JSON that is already text.
    init(status: Int = 200, json: OutputBytes, type: String = MediaType.json) {
        self.status = status
        fields[.contentType] = type
        body = .bytes(ByteBuffer(bytes: json.bytes))
    }

    init(status: Int = 200, text: String, type: String) {
        self.status = status
        fields[.contentType] = type
        body = .bytes(ByteBuffer(string: text))
    }

    /// A map that the gateway itself has made.
    init(status: Int = 200, value: MessagePackValue, type: String = MediaType.json) {
        let text = OutputBytes(capacity: 512)
        let bytes = value.encoded()
        bytes.withUnsafeBytes { try? JSONText.write($0, into: text, style: .compact) }
        self.init(status: status, json: text, type: type)
    }
}

package enum MediaType {
    static let json = "application/json"
    static let problem = "application/problem+json"
    static let lines = "application/x-ndjson"
    static let mergePatch = "application/merge-patch+json"

    /// The type without its parameters, in lower case.
    package static func essence(_ field: String) -> String {
        var essence = field.prefix { $0 != ";" }
        while essence.last == " " || essence.last == "\t" { essence.removeLast() }
        while essence.first == " " || essence.first == "\t" { essence.removeFirst() }
        return essence.lowercased()
    }

    static func isJSON(_ essence: String) -> Bool {
        essence == json || essence == "text/json" || (essence.hasPrefix("application/") && essence.hasSuffix("+json"))
    }

    static func isLines(_ essence: String) -> Bool {
        essence == lines || essence == "application/ndjson" || essence == "application/jsonl"
            || essence == "application/x-jsonlines"
    }
}

extension HTTPField.Name {
    static let nexaDatabase = Self("X-Nexa-Database")!
    static let nexaToken = Self("X-Nexa-Token")!
    static let nexaRole = Self("X-Nexa-Role")!
    static let nexaSlowDown = Self("X-Nexa-Slow-Down")!
    static let nexaAfter = Self("X-Nexa-After")!
    static let nexaReadConcern = Self("X-Nexa-Read-Concern")!
    static let nexaMaxStaleness = Self("X-Nexa-Max-Staleness-Ms")!
    static let nexaWait = Self("X-Nexa-Wait-Ms")!
    static let nexaTimeout = Self("X-Nexa-Timeout-Ms")!
    static let nexaWriteConcern = Self("X-Nexa-W")!
    static let nexaWriteTimeout = Self("X-Nexa-Wtimeout-Ms")!
    static let nexaDurability = Self("X-Nexa-Durability")!
    static let apiKey = Self("X-API-Key")!
    static let requestID = Self("X-Request-Id")!
    static let traceParent = Self("traceparent")!
    static let idempotencyKey = Self("Idempotency-Key")!
    static let prefer = Self("Prefer")!
    static let preferenceApplied = Self("Preference-Applied")!
    static let serverTiming = Self("Server-Timing")!
    static let link = Self("Link")!
}
