/// `nexadb://user:password@host:port,host:port/database?option=value`, or `nexadbs://` for TLS. The rules stand in
/// clients/conformance/README.md; uris.json beside it holds what this parser has to do, for all clients.
///
/// Errors name the part that is wrong and never hold the text of the address: a password may be in it.
package struct ConnectionString: Sendable {
    package var configuration: ClientConfiguration
    /// Options that nobody knows, and options that are dangerous.
    package private(set) var warnings: [String] = []
    /// The options as they were given, decoded, in order.
    package private(set) var options: [(name: String, value: String)] = []

    package init(_ text: String) throws(NexaError) {
        var rest = Substring(text)
        let isSecure = try Self.takeScheme(&rest)
        guard !rest.contains("#") else { throw Self.bad("a bare # (write %23)") }
        let (main, query) = Self.cut(rest, at: "?")
        let (authority, path) = Self.cut(main, at: "/")
        let (user, hosts) = try Self.userAndHosts(authority)
        configuration = ClientConfiguration(hosts: try Self.hosts(hosts))
        configuration.tls = isSecure ? TLSSettings() : nil
        if let user {
            let (name, password) = Self.cut(user, at: ":")
            guard !name.isEmpty else { throw Self.bad("the user is empty") }
            guard password?.contains(":") != true else { throw Self.bad("a bare : in the password (write %3A)") }
            configuration.username = try Self.decode(name)
            if let password { configuration.password = try Self.decode(password) }
        }
        if let path, !path.isEmpty {
            let name = try Self.decode(path)
            guard Self.isName(name) else { throw Self.bad("the name of the database") }
            configuration.database = name
        }
        if let query { try takeOptions(query, isSecure: isSecure) }
    }

    private static func takeScheme(_ rest: inout Substring) throws(NexaError) -> Bool {
        for (scheme, isSecure) in [("nexadb://", false), ("nexadbs://", true)] where rest.lowercased().hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
            return isSecure
        }
        throw bad("the scheme is nexadb:// or nexadbs://")
    }

    /// What stands before the first `separator`, and what behind it; nil where there is none.
    private static func cut(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
        guard let index = text.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<index], text[text.index(after: index)...])
    }

    private static func userAndHosts(_ authority: Substring) throws(NexaError) -> (user: Substring?, hosts: Substring) {
        guard let at = authority.firstIndex(of: "@") else { return (nil, authority) }
        let hosts = authority[authority.index(after: at)...]
        guard !hosts.contains("@") else { throw bad("a bare @ in the user or the password (write %40)") }
        guard at != authority.startIndex else { throw bad("an @ without a user") }
        return (authority[..<at], hosts)
    }

    private static func hosts(_ text: Substring) throws(NexaError) -> [HostAddress] {
        var hosts: [HostAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let host = try HostAddress(parsing: part)
            if !hosts.contains(host) { hosts.append(host) }
        }
        return hosts
    }

    /// The name of a database, by the rule of docs/protocol.md.
    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, (1...120).contains(text.utf8.count), !(0x30...0x39).contains(first), first != 0x2D,
            first != 0x2E
        else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D, 0x2E: true
            default: false
            }
        }
    }

    /// Percent-decoded. A plus sign is a plus sign.
    private static func decode(_ text: Substring) throws(NexaError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                throw bad("an escape is % and two hexadecimal digits")
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else { throw bad("an escape that is not UTF-8") }
        return decoded
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    package static func bad(_ what: String) -> NexaError { NexaError(.validation, "Bad address: \(what)") }

    // MARK: Options

    private mutating func takeOptions(_ query: Substring, isSecure: Bool) throws(NexaError) {
        for pair in query.split(separator: "&") {
            let (rawName, rawValue) = Self.cut(pair, at: "=")
            let name = try Self.decode(rawName)
            guard !name.isEmpty else { throw Self.bad("an option without a name") }
            guard let rawValue, !rawValue.isEmpty else { throw Self.bad("option \(name) has no value") }
            guard !options.contains(where: { $0.name == name }) else { throw Self.bad("option \(name) stands twice") }
            let value = try Self.decode(rawValue)
            if try configuration.apply(option: name, value, isSecure: isSecure) {
                options.append((name, value))
            } else {
                warnings.append("option \(name) is not known")
            }
        }
        let files = options.filter { $0.name.hasPrefix("tls") && $0.name != "tls" }
        if !files.isEmpty, configuration.tls == nil { warnings.append("options of TLS on a connection without it") }
        for (name, value) in files { configuration.tls?.apply(option: name, value) }
        if options.contains(where: { $0.name == "tlsKeyFile" }) != options.contains(where: { $0.name == "tlsCertFile" }) {
            throw Self.bad("tlsCertFile and tlsKeyFile stand together")
        }
        if options.contains(where: { $0 == ("tlsInsecure", "true") }) {
            warnings.append("tlsInsecure: certificates are not verified")
        }
    }
}
