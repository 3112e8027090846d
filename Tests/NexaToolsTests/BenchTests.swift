import Foundation
import Testing

/// `nexadb bench` against a stand-in: that it does what was asked, and that it notices what is wrong.
@Suite struct BenchTests {
    private func bench(_ node: StandInNode, _ arguments: String...) throws -> (Tool.Outcome, [String: Any]) {
        let outcome = try Tool.run(arguments: ["bench", "--port", "\(node.port)", "--json", "-", "--warm-up", "0"] + arguments)
        let report = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        return (outcome, report ?? [:])
    }

    @Test(arguments: ["get", "update", "mixed", "query", "ping", "ycsb-a", "ycsb-b", "ycsb-d", "ycsb-e", "ycsb-f"])
    func runsEveryMixAndChecksTheAnswers(mix: String) throws {
        let node = StandInNode()
        defer { node.stop() }
        let (outcome, report) = try bench(
            node, "--mix", mix, "--records", "1000", "--requests", "300", "--duration", "60", "-c", "3", "-d", "4")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(report["requests"] as? Int ?? 0 >= 300)
        #expect(report["errors"] as? Int == 0)
        #expect(report["verified"] as? Int ?? 0 >= 2)
    }

    @Test func createsExactlyAsManyAsAsked() throws {
        let node = StandInNode()
        defer { node.stop() }
        let (outcome, report) = try bench(node, "--mix", "create", "--requests", "500", "-c", "4", "-d", "8", "--threads", "2")
        #expect(outcome.code == 0)
        #expect(report["requests"] as? Int == 500)
        #expect(node.count == 500)
    }

    @Test func batchesWriteDistinctDocuments() throws {
        let node = StandInNode()
        defer { node.stop() }
        let (outcome, report) = try bench(node, "--mix", "batch", "--batch-size", "100", "--requests", "20", "-c", "2")
        #expect(outcome.code == 0)
        #expect(report["requests"] as? Int == 20)
        #expect(node.count == 2000)
    }

    @Test func openLoopKeepsItsRate() throws {
        let node = StandInNode()
        defer { node.stop() }
        let (outcome, report) = try bench(node, "--mix", "ping", "--rate", "2000", "--duration", "0.5", "-c", "4")
        #expect(outcome.code == 0)
        let perSecond = try #require(report["requests_per_second"] as? Double)
        #expect(perSecond > 1_000 && perSecond < 2_200)
    }

    @Test func missingRecordsFailTheRun() throws {
        let node = StandInNode(.losesReads(every: 10))
        defer { node.stop() }
        let (outcome, report) = try bench(node, "--records", "1000", "--requests", "400")
        #expect(outcome.code == 1)
        #expect(report["misses"] as? Int ?? 0 > 0)
    }

    @Test func wrongAnswersFailTheRun() throws {
        let node = StandInNode(.answersWrongDocument)
        defer { node.stop() }
        let (outcome, report) = try bench(node, "--records", "1000", "--requests", "400")
        #expect(outcome.code == 1)
        #expect(report["wrong"] as? Int ?? 0 > 0)
    }

    @Test func refusalsAreToldWithTheirReason() throws {
        let node = StandInNode(.refusesAll)
        defer { node.stop() }
        let (outcome, report) = try bench(node, "--mix", "create", "--requests", "50")
        #expect(outcome.code == 1)
        #expect(report["refused"] as? Int ?? 0 > 0)
        #expect(report["first_error"] as? String == "READ_ONLY: the disk is full")
    }

    @Test func aServerThatHangsUpEndsTheRun() throws {
        let node = StandInNode(.hangsUp(after: 100))
        defer { node.stop() }
        let (outcome, _) = try bench(node, "--mix", "ping", "--duration", "5")
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("closed a connection"))
    }

    @Test func nobodyThereIsItsOwnExitCode() throws {
        let node = StandInNode()
        node.stop()
        let outcome = try Tool.run("bench", "--port", "\(node.port)", "--mix", "ping")
        #expect(outcome.code == 5)
    }

    @Test(arguments: [
        ["--mix", "nonsense"], ["-c", "0"], ["--records", "0"], ["--rate", "-1"], ["--durability", "maybe"],
        ["--write-concern", "0"], ["--mix", "update", "--op-id"],
    ])
    func refusesWrongUse(arguments: [String]) throws {
        #expect(try Tool.run(arguments: ["bench"] + arguments).code == 64)
    }
}
