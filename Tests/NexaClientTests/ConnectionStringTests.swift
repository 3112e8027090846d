import Foundation
import NexaClient
import Testing

/// clients/conformance/uris.json: what an address means, for all clients.
struct ConnectionStringTests {
    static let conformance = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("clients/conformance")

    @Test func everyAddressOfTheSharedFileMeansWhatItSays() throws {
        let cases = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: Self.conformance.appendingPathComponent("uris.json")))
                as? [[String: Any]])
        #expect(cases.count > 100)
        for entry in cases {
            let text = entry["uri"] as! String
            let label = Comment(rawValue: "\(entry["description"] as! String): \(text)")
            do throws(NexaError) {
                let parsed = try ConnectionString(text)
                #expect(entry["valid"] as! Bool, label)
                check(parsed, entry, label)
            } catch {
                #expect(!(entry["valid"] as! Bool), label)
                #expect(error.kind == .validation)
                if let word = entry["mentions"] as? String {
                    #expect(error.message.lowercased().contains(word.lowercased()), "\(label): \(error.message)")
                }
            }
        }
    }

    private func check(_ parsed: ConnectionString, _ entry: [String: Any], _ label: Comment) {
        let configuration = parsed.configuration
        let hosts = (entry["hosts"] as! [[String: Any]]).map {
            HostAddress(host: $0["host"] as! String, port: $0["port"] as! Int)
        }
        #expect(configuration.hosts == hosts, label)
        #expect(configuration.username == entry["username"] as? String, label)
        #expect(configuration.password == entry["password"] as? String, label)
        #expect(configuration.database == entry["database"] as? String, label)
        #expect((configuration.tls != nil) == entry["tls"] as! Bool, label)
        #expect(parsed.warnings.count == entry["warnings"] as! Int, label)
        let options = (entry["options"] as! [String: Any]).mapValues(Self.text)
        #expect(Dictionary(uniqueKeysWithValues: parsed.options.map { ($0.name, $0.value) }) == options, label)
    }

    private static func text(_ value: Any) -> String {
        guard let number = value as? NSNumber else { return "\(value)" }
        return boolean(number) ?? "\(number)"
    }

    /// "true" or "false" where the JSON said so.
    private static func boolean(_ number: NSNumber) -> String? {
        String(cString: number.objCType) == "c" ? (number.boolValue ? "true" : "false") : nil
    }

    @Test func optionsReachTheConfiguration() throws {
        let configuration = try ConnectionString(
            "nexadb://h/?readPreference=nearest&timeoutMS=0&poolSize=3&maxQueue=7&w=majority&durability=os&retryWrites=false&compress=lz4"
                + "&maxStalenessSeconds=4&localThresholdMS=1&serverSelectionTimeoutMS=2&connectTimeoutMS=3&wtimeoutMS=9&readConcern=committed"
        ).configuration
        #expect(configuration.readPreference == .nearest)
        #expect(configuration.timeout == nil)
        #expect(configuration.poolSize == 3 && configuration.queueLimit == 7)
        #expect(
            configuration.writeConcern == .majority && configuration.durability == .os && configuration.readConcern == .committed)
        #expect(!configuration.retriesWrites && configuration.retriesReads && configuration.compresses)
        #expect(configuration.staleness == .seconds(4) && configuration.localThreshold == .milliseconds(1))
        #expect(configuration.serverSelectionTimeout == .milliseconds(2) && configuration.connectTimeout == .milliseconds(3))
        #expect(configuration.writeConcernTimeout == .milliseconds(9))
    }

    @Test func errorsNeverHoldThePassword() {
        for text in ["nexadb://u:secret@", "nexadb://u:secret%zz@h", "nexadb://u:secret:x@h", "nexadb://u:secret@h:x"] {
            do throws(NexaError) {
                _ = try ConnectionString(text)
                Issue.record("\(text) was taken")
            } catch {
                #expect(!"\(error)".contains("secret"))
            }
        }
    }

    @Test func noUserIsMadeUp() throws {
        let client = try NexaClient()
        #expect(client.configuration.username == nil && client.configuration.password == nil)
        #expect(client.configuration.hosts == [HostAddress(host: "127.0.0.1", port: 6970)])
    }

    @Test func tlsWithoutATransportIsSaidAtOnce() {
        #expect(throws: NexaError.self) { try NexaClient("nexadbs://localhost") }
    }
}
