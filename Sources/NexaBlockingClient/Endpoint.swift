/// Where a node listens: `HOST`, `HOST:PORT`, `[IPV6]:PORT` or `:PORT`, as a person types it.
package struct Endpoint: Sendable, Equatable, CustomStringConvertible {
    package static let defaultHost = "127.0.0.1"
    package static let defaultPort: UInt16 = 6970

    package var host: String
    package var port: UInt16

    package init(host: String = defaultHost, port: UInt16 = defaultPort) {
        self.host = host
        self.port = port
    }

    /// Reads `text`; nil when the port is not a number from 1 to 65,535 or a bracket is not closed.
    package init?(parsing text: String) {
        self.init()
        if text.isEmpty { return }
        let hostText: Substring
        var portText: Substring?
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            hostText = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            if !rest.isEmpty {
                guard rest.first == ":" else { return nil }
                portText = rest.dropFirst()
            }
        } else if let colon = text.lastIndex(of: ":"), text.firstIndex(of: ":") == colon {
            hostText = text[..<colon]
            portText = text[text.index(after: colon)...]
        } else {
            hostText = text[...]
        }
        if !hostText.isEmpty { host = String(hostText) }
        if let portText {
            guard let number = UInt16(portText), number > 0 else { return nil }
            port = number
        }
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
