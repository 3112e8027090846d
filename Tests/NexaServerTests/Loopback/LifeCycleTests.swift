import Foundation
import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Start, stop and start again; the admin port; one directory, one node.
@Suite(.serialized) struct LifeCycleTests {
    private let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)").path

    @Test func whatWasAnsweredIsThereAfterARestart() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var identity = ""
        for round in 0..<3 {
            let node = try await LoopbackNode.start(directory)
            if round > 0 { #expect(node.context.identity.id == identity) }
            identity = node.context.identity.id
            let port = node.port
            let client = try RawClient(port: port)
            for earlier in 0..<round {
                #expect(
                    try client.call(.read, ["collection": "c", "key": .string("k\(earlier)")])["n"] == .int(Int64(earlier)))
            }
            let data: MessagePackValue = ["_id": .string("k\(round)"), "n": .int(Int64(round))]
            #expect(try client.call(.create, ["collection": "c", "data": data]).type == .success)
            try await node.stop()
        }
    }

    @Test func stoppingFinishesWhatWasAskedAndClosesIdleConnections() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await LoopbackNode.start(directory)
        let port = node.port
        let idle = try RawClient(port: port)
        let busy = try RawClient(port: port)
        #expect(try idle.call(.ping).type == .pong)
        var documents: [MessagePackValue] = []
        for number in 0..<2_000 { documents.append(["n": .int(Int64(number))]) }
        #expect(try busy.call(.batchWrite, ["collection": "c", "documents": .array(documents)])["count"] == 2_000)
        try busy.send(.query, ["collection": "c", "filters": ["n": 1_999]], requestID: 9)
        try busy.send(.ping)
        #expect(try busy.receive() != nil)
        try await node.stop()
        #expect(try idle.receive() == nil)
        let last = try busy.receive()
        #expect(last != nil)
        #expect(try busy.receive() == nil)
    }

    @Test func aSecondNodeOnTheSameDirectoryIsRefused() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await LoopbackNode.start(directory)
        await #expect(throws: (any Error).self) { try await LoopbackNode.start(directory) }
        try await node.stop()
        let again = try await LoopbackNode.start(directory)
        try await again.stop()
    }

    @Test func aPortThatIsTakenIsNamedWithAWayOut() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await LoopbackNode.start(directory + "/a")
        let port = node.port
        do {
            _ = try await LoopbackNode.start(directory + "/b") { $0.port = port }
            Issue.record("two nodes listen on one port")
        } catch {
            #expect("\(error)".contains("--port"))
        }
        try await node.stop()
    }

    @Test func theAdminPortShowsMetricsAndHealth() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await LoopbackNode.start(directory) { $0.adminPort = 0 }
        let admin = try #require(node.adminPort)
        let port = node.port
        let (metrics, health, foreign) = try {
            let client = try RawClient(port: port)
            _ = try client.call(.create, ["collection": "c", "data": ["_id": "k"]])
            _ = try client.call(.read, ["collection": "c", "key": "k"])
            _ = try client.call(.query, ["collection": "c", "filters": ["$no": 1]])
            return try (
                Self.get(admin, "/metrics"), Self.get(admin, "/health"), Self.get(admin, "/metrics", host: "evil.example")
            )
        }()
        try await node.stop()
        #expect(health.hasPrefix("HTTP/1.1 200"))
        #expect(health.hasSuffix("ok\n"))
        #expect(foreign.hasPrefix("HTTP/1.1 403"))
        for line in [
            "nexadb_requests_total{type=\"CREATE\"} 1", "nexadb_requests_total{type=\"READ\"} 1",
            "nexadb_errors_total{code=\"BAD_FILTER\"} 1", "nexadb_connections 1",
            "nexadb_request_seconds_count{class=\"write\"} 1", "nexadb_engine_writes_refused 0",
        ] {
            #expect(metrics.contains("\n\(line)\n"), "\(line)")
        }
    }

    @Test func anAdminPortBeyondLoopbackAnswersToTheNamesOfTheNetwork() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await LoopbackNode.start(directory) {
            $0.adminPort = 0
            $0.adminHost = "0.0.0.0"
        }
        let admin = try #require(node.adminPort)
        let line = StartLine(node: node).text
        let answer = try Self.get(admin, "/readyz", host: "db1.example")
        try await node.stop()
        #expect(answer.hasPrefix("HTTP/1.1 200"))
        #expect(line.contains("metrics on http://0.0.0.0:\(admin)/metrics"))
    }

    /// A GET by hand: the tests' own client sends any bytes.
    private static func get(_ port: Int, _ path: String, host: String = "127.0.0.1") throws -> String {
        let client = try RawClient(port: port)
        try client.send(Array("GET \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n".utf8))
        return String(decoding: try client.receiveAll(), as: UTF8.self)
    }
}
