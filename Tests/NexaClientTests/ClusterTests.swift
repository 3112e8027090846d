import NexaClient
import Testing

/// A leader and a follower as processes: the client finds its way between them.
@Suite(.serialized) struct ClusterTests {
    private static func withCluster(_ body: (_ leader: NodeProcess, _ follower: NodeProcess) async throws -> Void) async throws {
        let ports = [NodeProcess.freePort(), NodeProcess.freePort()]
        let members = ["--members", "n1=127.0.0.1:\(ports[0]),n2=127.0.0.1:\(ports[1])"]
        let leader = try NodeProcess(port: ports[0], arguments: ["--node-name", "n1"] + members)
        defer { leader.remove() }
        let follower = try NodeProcess(
            port: ports[1], arguments: ["--node-name", "n2", "--follow", "127.0.0.1:\(ports[0])"] + members)
        defer { follower.remove() }
        // A write that both have: then the cluster stands.
        let client = try NexaClient("nexadb://127.0.0.1:\(ports[0])/?serverSelectionTimeoutMS=20000&w=2")
        defer { client.close() }
        try await client.create("ready", ["_id": "ready"])
        try await body(leader, follower)
    }

    @Test func oneFollowerIsEnoughToFindTheLeader() async throws {
        try await Self.withCluster { _, follower in
            let client = try NexaClient("nexadb://127.0.0.1:\(follower.port)")
            defer { client.close() }
            try await client.create("c", ["_id": "a", "n": 1])
            #expect(try await client.get("c", "a")?["n"] == 1)
            #expect(client.topology.connectionCount == 2)
        }
    }

    @Test func writesAreReadAtOnceOnAFollower() async throws {
        try await Self.withCluster { leader, follower in
            let client = try NexaClient(
                "nexadb://127.0.0.1:\(leader.port),127.0.0.1:\(follower.port)/?readPreference=secondary&serverSelectionTimeoutMS=20000"
            )
            defer { client.close() }
            let numbers = client.collection("numbers")
            for number in 0..<200 {
                let id = try await numbers.insert(["n": .int(Int64(number))])
                #expect(try await numbers.get(id)?["n"]?.intValue == number)
                #expect(try await numbers.count(["n": .int(Int64(number))]) == 1)
            }
        }
    }

    /// Leadership is handed over while writes go on: all are acknowledged, none is there twice.
    @Test func writesFollowTheLeader() async throws {
        try await Self.withCluster { leader, follower in
            let client = try NexaClient(
                "nexadb://127.0.0.1:\(leader.port),127.0.0.1:\(follower.port)/?serverSelectionTimeoutMS=20000")
            defer { client.close() }
            let written = client.collection("written")
            let isOver = Flag()
            let acknowledged = try await withThrowingTaskGroup(of: [Int].self) { group in
                for task in 0..<4 {
                    group.addTask {
                        var numbers: [Int] = []
                        while !isOver.isSet {
                            let number = numbers.count * 4 + task
                            try await written.insert(["n": .int(Int64(number))])
                            numbers.append(number)
                        }
                        return numbers
                    }
                }
                try await Task.sleep(for: .milliseconds(200))
                #expect(try await NodeProcess.tool("switchover", "127.0.0.1:\(leader.port)", "--to", "n2") == 0)
                try await Task.sleep(for: .milliseconds(200))
                isOver.set()
                return try await group.reduce([], +)
            }
            let found = try await written.query().compactMap { $0["n"]?.intValue }
            #expect(found.sorted() == acknowledged.sorted())
        }
    }
}
