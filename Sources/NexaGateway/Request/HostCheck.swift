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
        guard let authority else { return false }
        let name = Self.name(of: authority).lowercased()
        return ServerConfiguration.isLoopback(name) || allowedHosts.contains(name)
    }

    /// `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT` without the rest.
    static func name(of authority: String) -> String {
        if authority.hasPrefix("[") { return String(authority.dropFirst().prefix { $0 != "]" }) }
        return String(authority.prefix { $0 != ":" })
    }
}
