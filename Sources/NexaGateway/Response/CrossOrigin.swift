/// What web pages of another origin may do: nothing, unless the node is told an origin (CORS).
///
/// That they cannot read answers, browsers see to. That they cannot write, the gateway does: a page can send what it likes without being
/// asked, a body without a type among it, but it cannot leave out `Origin`.

import HTTPTypes
import HummingbirdCore

package struct CrossOrigin: Sendable {
    /// An origin, or `*`; nil: none.
    let allowed: String?

    package init(allowed: String?) { self.allowed = allowed }

    /// Whether a page of `origin` may change something at `authority`.
    package func accepts(origin: String?, authority: String?) -> Bool {
        guard let origin, allowed != "*", origin != allowed else { return true }
        guard let authority, let scheme = origin.firstRange(of: "://") else { return false }
        return origin[scheme.upperBound...].lowercased() == authority.lowercased()
    }

    func check(_ request: Request) throws(Problem) {
        if request.method == .get || request.method == .head { return }
        guard accepts(origin: request.headers[.origin], authority: request.head.authority) else {
            throw Problem(.forbidden, "Pages of this origin may not use this gateway (http-cors-origin names one that may)")
        }
    }

    /// The answer to a browser that asks before it sends; nil where no origin is allowed.
    func preflight(_ route: Route) -> Answer? {
        guard allowed != nil else { return nil }
        var answer = Answer(status: 204)
        answer.fields[.accessControlAllowMethods] = route.methods.map(\.rawValue).joined(separator: ", ")
        answer.fields[.accessControlAllowHeaders] =
            "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Prefer, X-API-Key, X-Request-Id, "
            + "X-Nexa-Database, X-Nexa-After, X-Nexa-Read-Concern, X-Nexa-Max-Staleness-Ms, X-Nexa-Wait-Ms, X-Nexa-Timeout-Ms, "
            + "X-Nexa-W, X-Nexa-Wtimeout-Ms, X-Nexa-Durability"
        answer.fields[.accessControlMaxAge] = "600"
        return answer
    }

    func addFields(to answer: inout Answer) {
        guard let allowed else { return }
        answer.fields[.accessControlAllowOrigin] = allowed
        answer.fields[.accessControlExposeHeaders] =
            "ETag, Location, Link, Retry-After, X-Request-Id, X-Nexa-Token, X-Nexa-Role, X-Nexa-Slow-Down"
        if allowed != "*" { answer.fields[.vary] = "Origin" }
    }
}
