/// Whether a gateway on loopback answers to the name in `Host`. A web page can make a browser send requests to 127.0.0.1 under a name of
/// its own ("DNS rebinding"); it cannot make it leave that name out.

import NexaServer

package struct HostCheck: Sendable {
    /// Listens beyond loopback, where `Host` is whatever the network calls this machine.
    let answersAnyHost: Bool
    let allowedHosts: [String]

    package init(listensOn host: String, allowedHosts: [String]) {
        answersAnyHost = !ServerConfiguration.isLoopback(host)
        self.allowedHosts = allowedHosts
    }

    package func accepts(_ authority: String?) -> Bool {
        if answersAnyHost { return true }
        guard let name = authority.flatMap(Self.name)?.lowercased() else { return false }
        return ServerConfiguration.isLoopback(name) || allowedHosts.contains(name)
    }

    /// The name in `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT`; nil: it is none of them.
    private static func name(of authority: String) -> Substring? {
        let isBracketed = authority.hasPrefix("[")
        let name = isBracketed ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
        var rest = authority[name.endIndex...]
        if isBracketed, rest.popFirst() != "]" { return nil }
        guard rest.isEmpty || (rest.first == ":" && rest.dropFirst().utf8.allSatisfy { (0x30...0x39).contains($0) }) else {
            return nil
        }
        return name
    }
}
