import Foundation
import NexaBlockingClient
import NexaTransfer
import NexaWire
import Testing

/// Imports into a node that answers what cannot be.
struct ImporterTests {
    private static func failure(_ index: Int64) -> MessagePackValue {
        ["index": .int(index), "code": "DUPLICATE", "error": "it exists"]
    }

    /// None of them says what became of each of two documents.
    static let misfits: [MessagePackValue] = [
        ["count": -1], ["count": .int(.max)], ["count": 0], ["count": 1], ["count": 3], [:],
        ["count": 2, "errors": [failure(0)]], ["count": 1, "errors": [failure(2)]], ["count": 1, "errors": [failure(-1)]],
        ["count": 0, "errors": [failure(1), failure(1)]], ["count": 3, "errors": [failure(0)]], ["count": 1, "errors": "none"],
        ["count": -1, "errors": [failure(0), failure(1), failure(0)]],
    ]

    private func load(_ node: StandInNode, _ directory: URL) throws -> ImportSummary {
        let file = directory.appendingPathComponent("in.jsonl")
        try "{\"n\": 1}\n{\"n\": 2}\n".write(to: file, atomically: false, encoding: .utf8)
        var plan = ImportPlan(input: InputPlan(path: file.path, format: .jsonl), collection: "c")
        plan.statePath = file.path + ".import-state"
        plan.connections = 1
        plan.onError = .continue
        return try Importer(plan, Endpoint(port: node.port), ClientConnection.Options()).run { _ in true }
    }

    private func withDirectory(_ body: (URL) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-import-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory)
    }

    @Test(arguments: misfits)
    func anAnswerThatDoesNotAccountForEachDocumentIsNotTakenForOne(answer: MessagePackValue) throws {
        let node = StandInNode(.answersBatch(answer))
        defer { node.stop() }
        try withDirectory { directory in
            let summary = try load(node, directory)
            guard case .failed(.client(.protocolViolation)) = summary.end else {
                Issue.record("it ended as \(summary.end)")
                return
            }
            // The node may have written them: the next run asks again.
            #expect(summary.progress.counts == ImportCounts() && summary.isResumable)
            #expect(FileManager.default.fileExists(atPath: directory.appendingPathComponent("in.jsonl.import-state").path))
        }
    }

    @Test func anAnswerThatAccountsForEachDocumentIsTaken() throws {
        let node = StandInNode(.answersBatch(["count": 1, "errors": [Self.failure(0)]]))
        defer { node.stop() }
        try withDirectory { directory in
            let summary = try load(node, directory)
            #expect(summary.progress.counts == ImportCounts(written: 1, rejected: 1) && summary.rejects.map(\.record) == [1])
        }
    }
}
