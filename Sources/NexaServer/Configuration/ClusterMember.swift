/// A member of a cluster as configurations name it: `NAME=HOST:PORT`.

import NexaReplication

package struct ClusterMember: Hashable, Sendable {
    package var name: String
    /// HOST:PORT as other nodes reach it; an IPv6 host stands in brackets.
    package var address: String

    package init(name: String, address: String) {
        self.name = name
        self.address = address
    }

    package var text: String { "\(name)=\(address)" }

    /// Reads a list, or `off` for none; nil when some of it is no member, or comes twice.
    package static func list(parsing text: String) -> [ClusterMember]? {
        if text == "off" { return [] }
        var members: [ClusterMember] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let equals = part.firstIndex(of: "=") else { return nil }
            let name = String(part[..<equals])
            let address = String(part[part.index(after: equals)...])
            guard isName(name), isAddress(address), !members.contains(where: { $0.name == name || $0.address == address }) else {
                return nil
            }
            members.append(ClusterMember(name: name, address: address))
        }
        return members.count <= ClusterConfiguration.memberCountMax ? members : nil
    }

    /// Letters, digits, `_ . -`: a name is a metric label and a word in tables.
    package static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    package static func isAddress(_ text: String) -> Bool { hostAndPort(text) != nil }

    /// The parts of HOST:PORT.
    package static func hostAndPort(_ text: String) -> (host: String, port: Int)? {
        guard text.utf8.count <= Member.addressByteCountMax, let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() } else if host.contains(":") { return nil }
        return host.isEmpty ? nil : (String(host), port)
    }
}
