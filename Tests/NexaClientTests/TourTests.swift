import Foundation
import Testing

/// The README's tour is code that runs.
struct TourTests {
    @Test func theTourOfTheReadmeRuns() async throws {
        try await ClientNode.run { _, node in
            let sum = try await tour("nexadb://127.0.0.1:\(node.port)/shop")
            #expect(sum == 1 + 1000 + 1 + 32 + 31)
        }
    }

    @Test func theTourIsWhatTheReadmeShows() throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let source = try String(contentsOf: tests.appendingPathComponent("Tour.swift"), encoding: .utf8)
        let readme = try String(contentsOf: tests.appendingPathComponent("../../clients/swift/README.md"), encoding: .utf8)
        let start = try #require(source.range(of: "struct User"))
        #expect(readme.contains(source[start.lowerBound...]))
    }
}
