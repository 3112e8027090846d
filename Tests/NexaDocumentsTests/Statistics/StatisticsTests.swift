import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct StatisticsTests {
    @Test func countsDocumentsAndBytesOfEachCollection() throws {
        let test = try TestStore()
        let one = try test.collection("one")
        let none = try test.collection("none")
        let many = try test.collection("many")
        try test.create(["_id": "abc"], in: one)
        _ = try test.batch(documents: (0..<500).map { ["n": .int($0)] }, in: many)
        let scan = test.worker.makeStatistics([one, none, many], atLeast: test.engine.appliedLSN, deadline: nil)
        var steps = 1
        while try scan.step(budget: StepBudget(nanoseconds: 0)) != .done { steps += 1 }
        #expect(steps > 3)
        #expect(scan.statistics.map(\.documentCount) == [1, 0, 500])
        // Key, flags, map header, `_id` with its text, two timestamps.
        #expect(scan.statistics[0].byteCount == 3 + 1 + 1 + 8 + 2 * 39)
        #expect(scan.statistics[1].byteCount == 0)
    }

    @Test func endsWhenCancelled() throws {
        let test = try TestStore()
        let scan = test.worker.makeStatistics([try test.collection()], atLeast: 0, deadline: nil)
        scan.cancellation.cancel()
        #expect(errorOf { _ = try scan.step(budget: StepBudget()) }?.code == .cancelled)
    }
}
