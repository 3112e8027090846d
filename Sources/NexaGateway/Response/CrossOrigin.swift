/// What web pages of another origin may do (CORS): nothing, unless the node is told an origin.

import HTTPTypes
import HummingbirdCore

struct CrossOrigin: Sendable {
    /// An origin, or `*`.
    let origin: String

    /// The answer to a browser that asks before it sends.
    func preflight(_ route: Route) -> Answer {
        var answer = Answer(status: 204)
        answer.fields[.accessControlAllowMethods] = route.methods.map(\.rawValue).joined(separator: ", ")
        answer.fields[.accessControlAllowHeaders] =
            "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Prefer, X-API-Key, X-Request-Id, "
            + "X-Nexa-Database, X-Nexa-After, X-Nexa-Read-Concern, X-Nexa-Max-Staleness-Ms, X-Nexa-Wait-Ms, X-Nexa-Timeout-Ms, "
            + "X-Nexa-W, X-Nexa-Wtimeout-Ms, X-Nexa-Durability"
        answer.fields[.accessControlMaxAge] = "600"
        return answer
    }

    func addFields(to answer: inout Answer, _ request: Request) {
        answer.fields[.accessControlAllowOrigin] = origin
        answer.fields[.accessControlExposeHeaders] = "ETag, Location, Link, Retry-After, X-Request-Id, X-Nexa-Token, X-Nexa-Role"
        if origin != "*" { answer.fields[.vary] = "Origin" }
    }
}
