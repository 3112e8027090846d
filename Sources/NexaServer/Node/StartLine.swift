/// The one line that a node prints when it listens: what runs, where the data lies, how durable it is.

import NexaStorage

package struct StartLine {
    package let text: String

    package init(node: NexaNode, door: (any NodeDoor)? = nil) {
        let configuration = node.context.configuration
        let host = Self.bracketed(configuration.host)
        let admin = node.adminPort.map { ", metrics on http://\(Self.bracketed(configuration.adminHost)):\($0)/metrics" } ?? ""
        let http = door?.address.map { ", HTTP on \($0)" } ?? ""
        let durability =
            configuration.durability == .disk
            ? "disk (answers leave after fdatasync)" : "os (answers leave after write; a power cut may lose the last moments)"
        text =
            "nexadb \(node.context.identity.version) listening on \(host):\(node.port)\(admin)\(http), "
            + "data in \(configuration.dataDirectory), durability \(durability), memory \(configuration.memory.text)"
    }
    /// A host as it stands before `:PORT`.
    package static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}
