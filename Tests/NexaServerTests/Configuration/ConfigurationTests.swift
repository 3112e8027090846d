import NexaServer
import NexaStorage
import Testing

@Suite struct ConfigurationTests {
    private func merge(
        _ flags: [(name: String, text: String)] = [], _ environment: [String: String] = [:], file: String? = nil
    ) throws -> ServerConfiguration {
        try ConfigurationSources.merge(
            flags: flags, environment: environment, file: file.map { (path: "nexadb.conf", content: $0) })
    }

    private func refusal(
        _ flags: [(name: String, text: String)] = [], _ environment: [String: String] = [:], file: String? = nil
    ) -> String {
        do {
            _ = try merge(flags, environment, file: file)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test func flagsWinOverVariablesWhichWinOverTheFile() throws {
        let file = "port = 1\nmemory = 1GiB\nlog-level = debug\n"
        let environment = ["NEXADB_PORT": "2", "NEXADB_MEMORY": "2GiB", "HOME": "/"]
        let configuration = try merge([("port", "3")], environment, file: file)
        #expect(configuration.port == 3)
        #expect(configuration.memory == ByteCount(2 << 30))
        #expect(configuration.logThreshold == .debug)
    }

    @Test func everySettingIsReadBackAsItIsPrinted() throws {
        let flags = [
            ("data-dir", "/tmp/x"), ("host", "localhost"), ("port", "0"), ("admin-port", "off"), ("durability", "os"),
            ("memory", "96MiB"), ("max-frame", "1MiB"), ("idle-timeout", "250ms"), ("log-format", "json"),
        ].map { (name: $0.0, text: $0.1) }
        let configuration = try merge(flags)
        let printed = ConfigurationSources.print(configuration)
        #expect(try merge(file: printed) == configuration)
        #expect(printed.split(separator: "\n").count == Setting.all.count)
    }

    @Test func unknownNamesAreErrorsInEverySource() {
        #expect(refusal([("prot", "1")]).contains("no flag --prot (did you mean port?)"))
        #expect(refusal([], ["NEXADB_MAX_FRAMES": "1MiB"]).contains("did you mean NEXADB_MAX_FRAME?"))
        #expect(refusal(file: "max_frame = 1MiB").contains("nexadb.conf:1: there is no setting 'max_frame'"))
        #expect(refusal(file: "\n# a comment\nport 1").contains("nexadb.conf:3: expected 'name = value'"))
    }

    @Test func wrongValuesNameTheirSource() {
        #expect(refusal([("port", "70000")]).contains("--port: '70000' is not a value for port"))
        #expect(refusal([], ["NEXADB_MEMORY": "lots"]).contains("environment NEXADB_MEMORY"))
        #expect(refusal([("durability", "maybe")]).contains("durability"))
        #expect(refusal([("memory", "1MiB")]).contains("at least 16MiB"))
        #expect(refusal([("max-frame", "2GiB")]).contains("max-frame"))
    }

    @Test func anAddressBeyondLoopbackNeedsALogInOrInsecure() throws {
        for host in ["0.0.0.0", "192.168.1.4", "::", "example.org", "127.evil.org"] {
            let exposed = try merge([("host", host)])
            #expect(throws: StartError.self, "\(host)") { try exposed.checkExposure(asksForLogIn: false) }
            try exposed.checkExposure(asksForLogIn: true)
            try merge([("host", host), ("insecure", "true")]).checkExposure(asksForLogIn: false)
        }
        for host in ["127.0.0.1", "127.1.2.3", "localhost", "::1"] {
            try merge([("host", host)]).checkExposure(asksForLogIn: false)
        }
    }

    @Test func aNodesUserAndItsPasswordComeTogether() throws {
        #expect(refusal([("replication-user", "node")]).contains("together"))
        let both = try merge([("replication-user", "node"), ("replication-password-file", "/etc/nexadb/node")])
        #expect(both.replicationUser == "node" && both.replicationPasswordFile == "/etc/nexadb/node")
    }

    @Test func commentsAndQuotesInTheFile() throws {
        let configuration = try merge(file: "  data-dir = \"./my data\"  # where\nport=7001\r\n\n# port = 7002\n")
        #expect(configuration.dataDirectory == "./my data")
        #expect(configuration.port == 7_001)
        #expect(try merge(file: "data-dir = ./a#b").dataDirectory == "./a#b")
    }

    @Test func sizesAndTimesAreReadWithTheirUnits() {
        #expect(ByteCount(parsing: "16 MiB")?.value == 16 << 20)
        #expect(ByteCount(parsing: "2kB")?.value == 2_000)
        #expect(ByteCount(parsing: "99999999999TiB") == nil)
        #expect(ByteCount(parsing: "MiB") == nil)
        #expect(ByteCount(1_536).text == "1536")
        #expect(ByteCount(3 << 20).text == "3MiB")
        #expect(TimeLimit(parsing: "90")?.milliseconds == 90_000)
        #expect(TimeLimit(parsing: "1m")?.text == "1m")
        #expect(TimeLimit(parsing: "off") == .off)
        #expect(TimeLimit(parsing: "1.5s") == nil)
    }
}
