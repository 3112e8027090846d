/// Who a request says it comes from, read from its headers. What it is worth, the node decides when a connection logs in with it.

import HTTPTypes
import NexaWire

enum Identity: Hashable, Sendable {
    case anonymous
    case password(user: String, password: String)
    case key(String)

    init(_ fields: HTTPFields) throws(Problem) {
        if let key = fields[.apiKey] {
            self = .key(key)
            return
        }
        guard let text = fields[.authorization] else {
            self = .anonymous
            return
        }
        let parts = text.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { throw Self.unreadable }
        let rest = parts[1].drop { $0 == " " }
        switch parts[0].lowercased() {
        case "bearer": self = .key(String(rest))
        case "basic":
            let bytes = Array(rest.utf8)
            guard let decoded = bytes.withUnsafeBytes({ Base64.decode($0) }),
                let pair = String(validating: decoded, as: UTF8.self),
                let colon = pair.firstIndex(of: ":")
            else { throw Self.unreadable }
            self = .password(user: String(pair[..<colon]), password: String(pair[pair.index(after: colon)...]))
        default: throw Self.unreadable
        }
    }

    /// Tells one from another.
    var name: String {
        switch self {
        case .anonymous: ""
        case .password(let user, _): "user " + user
        case .key(let key): "key " + key
        }
    }

    private static var unreadable: Problem {
        var problem = Problem(.badRequest, "Authorization is 'Basic base64(user:password)' or 'Bearer API-KEY'")
        problem.status = 401
        problem.code = ErrorCode.unauthenticated.rawValue
        return problem
    }

    /// The CONNECT of a connection for it.
    func connect() -> OutputBytes {
        var request = NodeRequest(.connect)
        request.add("client", "http")
        request.add("dialect", "envelope")
        request.add("features") { output in
            let features: [StaticString] = ["token", "stream", "op_id"]
            output.writeArrayHeader(features.count)
            for feature in features { output.writeString(feature) }
        }
        switch self {
        case .anonymous: break
        case .password(let user, let password):
            request.add("username", user)
            request.add("password", password)
        case .key(let key): request.add("api_key", key)
        }
        return request.frame()
    }
}
