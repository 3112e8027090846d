/// Where a node listens. Hosts are compared in lower case, as names are.
public struct HostAddress: Sendable, Hashable, CustomStringConvertible {
    public static let defaultPort = 6970

    public let host: String
    public let port: Int

    public init(host: String, port: Int = HostAddress.defaultPort) {
        self.host = host.lowercased()
        self.port = port
    }

    /// From `host`, `host:port` or `[ipv6]:port`, as addresses and nodes spell it.
    package init(parsing text: Substring) throws(NexaError) {
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { throw Self.bad("a bracket of a host is not closed") }
            let inside = text[text.index(after: text.startIndex)..<close]
            guard IPv6Text.isValid(inside) else { throw Self.bad("the host in brackets is no IPv6 address") }
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { throw Self.bad("there is text behind the brackets of a host") }
            self.init(host: String(inside), port: try Self.port(rest))
            return
        }
        let colon = text.firstIndex(of: ":") ?? text.endIndex
        let name = text[..<colon]
        guard !name.isEmpty else { throw Self.bad("a host is empty") }
        guard name.utf8.allSatisfy(Self.isNameByte) else { throw Self.bad("a host has a character that no host has") }
        let rest = text[colon...]
        guard !rest.dropFirst().contains(":") else {
            throw Self.bad("a host with several colons: an IPv6 address stands in [brackets]")
        }
        self.init(host: String(name), port: try Self.port(rest))
    }

    /// From nothing or `:port`.
    private static func port(_ text: Substring) throws(NexaError) -> Int {
        if text.isEmpty { return defaultPort }
        let digits = text.dropFirst()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits), number > 0
        else {
            throw bad("a port is a number from 1 to 65535")
        }
        return Int(number)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x80...0xFF: true
        default: false
        }
    }

    private static func bad(_ what: String) -> NexaError { NexaError(.validation, "Bad address: \(what)") }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The text form of IPv6 addresses (RFC 4291): at most eight groups of one to four hexadecimal digits, `::` once for groups of zeros,
/// the last two groups as an IPv4 address if need be. A zone (`%eth0`) is not taken.
enum IPv6Text {
    static func isValid(_ text: Substring) -> Bool {
        let halves = split(text)
        guard let first = groupCount(halves.0), let second = halves.1.map(groupCount) ?? 0 else { return false }
        return halves.1 == nil ? first == 8 : first + second <= 7
    }

    private static func split(_ text: Substring) -> (Substring, Substring?) {
        var index = text.startIndex
        while index < text.endIndex {
            let next = text.index(after: index)
            if text[index] == ":", next < text.endIndex, text[next] == ":" {
                return (text[..<index], text[text.index(after: next)...])
            }
            index = next
        }
        return (text, nil)
    }

    /// The number of 16-bit groups that `text` stands for; nil when it is malformed.
    private static func groupCount(_ text: Substring) -> Int? {
        if text.isEmpty { return 0 }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var count = 0
        for (index, part) in parts.enumerated() {
            if part.contains(".") {
                guard index == parts.count - 1, isIPv4(part) else { return nil }
                count += 2
            } else {
                guard (1...4).contains(part.utf8.count), part.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
                count += 1
            }
        }
        return count
    }

    private static func isIPv4(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { (1...3).contains($0.utf8.count) && UInt8($0) != nil && $0.first != "+" }
    }
}
