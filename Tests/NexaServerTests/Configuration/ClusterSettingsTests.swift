import Foundation
import NexaServer
import Testing

@Suite struct ClusterSettingsTests {
    private func merge(_ flags: (String, String)...) throws -> ServerConfiguration {
        try ConfigurationSources.merge(flags: flags.map { (name: $0.0, text: $0.1) }, environment: [:], file: nil)
    }

    @Test func replicationIsOffUntilSomethingOfItIsSet() throws {
        #expect(try merge().replicates == false)
        #expect(try merge(("node-name", "n1")).replicates)
        #expect(try merge(("follow", "db1:6970")).replicates)
    }

    @Test func membersAreReadBackAsTheyArePrinted() throws {
        let configuration = try merge(
            ("node-name", "n1"), ("members", "n1=127.0.0.1:1,n2=[::1]:2"), ("follow", "[::1]:2"), ("advertise", "off"))
        #expect(configuration.members.map(\.address) == ["127.0.0.1:1", "[::1]:2"])
        let printed = ConfigurationSources.print(configuration)
        #expect(
            try ConfigurationSources.merge(flags: [], environment: [:], file: (path: "f", content: printed)) == configuration)
    }

    @Test func aPasswordEndsWithItsLine() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let configuration = try merge(
            ("node-name", "n1"), ("replication-user", "r"), ("replication-password-file", path))
        for content in ["gehe im", "gehe im\n", "gehe im\r\n", "gehe im\r\nnot this\r\n", "gehe im\nnor\nthis"] {
            try Data(content.utf8).write(to: URL(fileURLWithPath: path))
            #expect(try NodeLogIn(configuration)?.password == "gehe im")
        }
        for empty in ["", "\n", "\r\n", "\r\nlater"] {
            try Data(empty.utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: StartError.self) { try NodeLogIn(configuration) }
        }
    }

    @Test func whatCannotBeAClusterIsRefused() {
        for members in ["n1", "n1=", "n1=host", "n1=h:0", "n1=h:1,n1=h:2", "n1=h:1,n2=h:1", "a b=h:1", "n1=::1:5"] {
            #expect(throws: ConfigurationError.self, "\(members)") { try merge(("node-name", "n1"), ("members", members)) }
        }
        #expect(throws: ConfigurationError.self) { try merge(("members", "n1=h:1")) }
        #expect(throws: ConfigurationError.self) { try merge(("node-name", "x"), ("members", "n1=h:1")) }
        #expect(throws: ConfigurationError.self) { try merge(("node-name", "n1"), ("commit-quorum", "1")) }
        #expect(throws: ConfigurationError.self) {
            try merge(("node-name", "n1"), ("members", "n1=h:1"), ("commit-quorum", "2"))
        }
    }
}
