/// What the head of a request says, once read: a pure function of what HTTP/1 sent.
///
/// A request has one `Host` (RFC 9112, 3.2), and a target that names a host itself overrules it: whoever checks `authority` has checked
/// the host that the client means, whichever way it was said.

import HTTPTypes
import NIOHTTP1

package struct RequestHead: Equatable {
    package var request: HTTPRequest
    /// The connection goes on behind the answer, as far as the client is concerned.
    package var keepsAlive: Bool
    /// HTTP/1.0: knows no chunks, and goes on only where both say so.
    package var isOld: Bool

    /// What is wrong with `Host` is said in the words that NIO has for wrong headers.
    package init(_ head: HTTPRequestHead) throws(HTTPParserError) {
        guard head.version.major == 1 else { throw .invalidVersion }
        guard let method = HTTPRequest.Method(head.method.rawValue) else { throw .invalidMethod }
        isOld = head.version.minor == 0
        keepsAlive = head.isKeepAlive
        var host: String?
        var fields = HTTPFields()
        fields.reserveCapacity(head.headers.count)
        for (name, value) in head.headers {
            guard let name = HTTPField.Name(name) else { throw .invalidHeaderToken }
            guard name.canonicalName == "host" else {
                fields.append(HTTPField(name: name, value: value))
                continue
            }
            guard host == nil else { throw .invalidHeaderToken }
            host = value
        }
        guard host != nil || isOld else { throw .invalidHeaderToken }
        // Knows no answer before the answer (RFC 9110, 10.1.1).
        if isOld { fields[.expect] = nil }
        let target = Self.target(head.uri)
        request = HTTPRequest(
            method: method, scheme: "http", authority: target.authority ?? host, path: target.path, headerFields: fields)
    }

    /// The path of a target, and the host of one in absolute form: `http://HOST/PATH?QUERY`.
    private static func target(_ text: String) -> (authority: String?, path: String) {
        guard text.utf8.first != UInt8(ascii: "/"), let scheme = text.firstRange(of: "://") else { return (nil, text) }
        let rest = text[scheme.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let path = rest[end...]
        return (String(rest[..<end]), path.first == "/" ? String(path) : "/" + path)
    }
}
