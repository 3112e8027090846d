import NexaClient
import Testing

/// A node that is killed again and again under load.
@Suite(.serialized) struct ChaosTests {
    /// Every write that was acknowledged is there, and none is there twice, though the client sends what got lost again.
    @Test func killsLoseNoAcknowledgedWriteAndDoubleNone() async throws {
        let node = try NodeProcess()
        defer { node.remove() }
        let client = try NexaClient("nexadb://127.0.0.1:\(node.port)/?timeoutMS=20000&serverSelectionTimeoutMS=15000")
        defer { client.close() }
        let written = client.collection("written")
        try await client.ping()
        let isOver = Flag()
        let acknowledged = try await withThrowingTaskGroup(of: [Int].self) { group in
            for task in 0..<16 {
                group.addTask {
                    var numbers: [Int] = []
                    var number = task
                    while !isOver.isSet {
                        do throws(NexaError) {
                            try await written.insert(["n": .int(Int64(number))])
                            numbers.append(number)
                        } catch {
                            // With operation ids nothing stays unknown while the node comes back in time.
                            Issue.record("\(error)")
                        }
                        number += 16
                    }
                    return numbers
                }
            }
            var pauses: [Duration] = []
            for _ in 0..<20 {
                try await Task.sleep(for: .milliseconds(100))
                node.kill()
                try node.start()
                try await node.waitUntilListening()
                let back = ContinuousClock.now
                try await client.ping()
                pauses.append(ContinuousClock.now - back)
            }
            // Half of them, and not all: others use the machine, too.
            let pause = pauses.sorted()[pauses.count / 2]
            print("the client went on \(pause) after the node was back (median of \(pauses.count))")
            #expect(pause < .seconds(4))
            isOver.set()
            return try await group.reduce([], +)
        }
        #expect(acknowledged.count > 20)
        var times: [Int: Int] = [:]
        for try await document in written.find() { times[document["n"]?.intValue ?? -1, default: 0] += 1 }
        let lost = acknowledged.filter { times[$0] == nil }
        let doubled = times.filter { $0.value > 1 }.keys
        #expect(lost.isEmpty, "lost \(lost.prefix(10)) of \(acknowledged.count)")
        #expect(doubled.isEmpty, "twice: \(doubled.prefix(10)) of \(acknowledged.count)")
    }
}
