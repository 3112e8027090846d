import NexaClient
import Testing

/// The client against a node in this process.
struct ClientTests {
    struct User: Codable, Equatable, Sendable {
        var name: String
        var age: Int
        var email: String?
    }
    struct Stored: Codable, Sendable {
        var _id: String
        var name: String
        var _rev: Int?
    }

    @Test func typedDocumentsGoThereAndBack() async throws {
        try await ClientNode.run { client, _ in
            let users = client.collection("users", of: User.self)
            let anna = User(name: "Anna", age: 31, email: nil)
            #expect(try await users.create(anna) == anna)
            let id = try await users.insert(User(name: "Bob", age: 20, email: "b@x"))
            #expect(try await users.get(id)?.email == "b@x")
            #expect(try await users.get("nobody") == nil)
            #expect(try await users.update(id, ["age": 21])?.age == 21)
            #expect(try await users.count(["age": ["$gt": 21]]) == 1)
            #expect(try await users.query(["name": "Bob"]).map(\.age) == [21])
            #expect(try await users.of(Stored.self).get(id)?._id == id)
            #expect(try await users.getMany([id, "nobody"]).map { $0?.name } == ["Bob", nil])
            #expect(try await users.delete(id))
            #expect(try await !users.delete(id))
        }
    }

    @Test func compressionIsAgreedOnAndChangesNoByte() async throws {
        try await ClientNode.run(options: "compress=lz4") { client, _ in
            let connection = try #require(client.topology.choose(.read(.primary)))
            #expect(connection.hello.hasCompression)
            let texts = client.collection("texts")
            let text = String(repeating: "all work and no play ", count: 20_000)
            let made = try await texts.create(["_id": "k", "text": .string(text)])
            #expect(try await texts.get("k") == made)
            #expect(made["text"]?.stringValue == text)
            try await texts.createMany((0..<2_000).map { ["_id": .string("n\($0)"), "text": "short", "n": .int(Int64($0))] })
            var sum = 0
            for try await document in texts.find(["n": ["$gte": 0]]) { sum += document["n"]?.intValue ?? 0 }
            #expect(sum == 1_999_000)
        }
    }

    @Test func manyTasksShareOneConnectionAndGetTheirOwnAnswers() async throws {
        try await ClientNode.run { client, _ in
            let numbers = client.collection("numbers")
            try await numbers.createMany((0..<500).map { ["_id": .string("k\($0)"), "n": .int(Int64($0))] })
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<50 {
                    group.addTask {
                        for round in 0..<40 {
                            let number = (task * 37 + round * 11) % 500
                            let document = try await numbers.get("k\(number)")
                            guard document?["n"]?.intValue == number else {
                                Issue.record("another's answer: \(String(describing: document)) for \(number)")
                                return
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(client.topology.connectionCount == 1)
        }
    }

    /// Cancelled requests take nobody's answer and cost no connection.
    @Test func cancellationShiftsNoAnswer() async throws {
        try await ClientNode.run { client, _ in
            let numbers = client.collection("numbers")
            try await numbers.createMany((0..<200).map { ["_id": .string("k\($0)"), "n": .int(Int64($0))] })
            let connection = try #require(client.topology.choose(.read(.primary)))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<200 {
                    group.addTask {
                        let read = Task { try await numbers.get("k\(task)") }
                        if task % 2 == 0 { read.cancel() }
                        do {
                            let document = try await read.value
                            guard document?["n"]?.intValue == task else {
                                Issue.record("another's answer for \(task)")
                                return
                            }
                        } catch let error as NexaError {
                            guard error.kind == .cancelled, task % 2 == 0 else {
                                Issue.record("\(error)")
                                return
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await client.ping()
            #expect(client.topology.choose(.read(.primary)) === connection)
            // All slots come back, those of the cancelled too.
            let limit = ContinuousClock.now + .seconds(5)
            while connection.inFlightCount > 0, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(5)) }
            #expect(connection.inFlightCount == 0)
        }
    }

    @Test func aCursorThatIsLeftEndsItsStream() async throws {
        try await ClientNode.run { client, node in
            let many = client.collection("many")
            let writer = many.bulkWriter()
            for number in 0..<5000 { try await writer.put(["n": .int(Int64(number))]) }
            #expect(await writer.finish().acknowledged == 5000)
            for _ in 0..<30 {
                var seen = 0
                for try await _ in many.find([:], QueryOptions(batchSize: 100)) {
                    seen += 1
                    if seen == 150 { break }
                }
            }
            var count = 0
            for try await document in many.find([:], QueryOptions(sort: [.ascending("n")], batchSize: 77)) {
                #expect(document["n"]?.intValue == count)
                count += 1
            }
            #expect(count == 5000)
            let limit = ContinuousClock.now + .seconds(5)
            var streams = -1
            while streams != 0, ContinuousClock.now < limit { streams = try await client.status()["streams"]?.intValue ?? -1 }
            #expect(streams == 0)
        }
    }

    @Test func failuresOfBulkWritesAreTold() async throws {
        try await ClientNode.run { client, _ in
            let documents = client.collection("bulk")
            try await documents.create(["_id": "k7"])
            var options = BulkWriter<Document>.Options()
            options.batchCount = 10
            let writer = documents.bulkWriter(options)
            for number in 0..<95 { try await writer.create(["_id": .string("k\(number)")]) }
            let summary = await writer.finish()
            #expect(summary.acknowledged == 94 && summary.failureCount == 1)
            #expect(summary.failures.first?.index == 7)
            #expect(summary.failures.first?.error.kind == .duplicateKey)
        }
    }

    @Test func aFullQueueFailsAtOnceByName() async throws {
        try await ClientNode.run(options: "maxQueue=1") { client, _ in
            try await client.ping()
            let failures = await withTaskGroup(of: NexaError?.self) { group in
                for _ in 0..<50 { group.addTask { await failure { try await client.ping() } } }
                return await group.reduce(into: [NexaError]()) { if let error = $1 { $0.append(error) } }
            }
            #expect(failures.allSatisfy { $0.kind == .queueFull })
            #expect(failures.count < 50)
            try await client.ping()
        }
    }

    @Test func nobodyThereIsSaidWithEveryHostAndItsReason() async throws {
        let client = try NexaClient("nexadb://127.0.0.1:1,localhost:2/?serverSelectionTimeoutMS=200")
        let error = await failure { try await client.ping() }
        #expect(error?.kind == .serverSelection)
        #expect(error?.message.contains("127.0.0.1:1") == true && error?.message.contains("localhost:2") == true)
        client.close()
    }

    @Test func aClosedClientSaysSo() async throws {
        try await ClientNode.run { client, _ in
            try await client.ping()
            client.close()
            let error = await failure { try await client.ping() }
            #expect(error?.kind == .connection && error?.message.contains("closed") == true)
        }
    }

    @Test func largeDocumentsAreSentAndTooLargeOnesRefusedHere() async throws {
        try await ClientNode.run(options: "compress=lz4") { client, _ in
            let documents = client.collection("large")
            let text = String(repeating: "abcdefgh", count: 500_000)
            try await documents.create(["_id": "big", "text": .string(text)])
            #expect(try await documents.get("big")?["text"]?.stringValue == text)
            let error = await failure { try await documents.create(["bytes": .binary([UInt8](repeating: 1, count: 17 << 20))]) }
            #expect(error?.kind == .tooLarge)
            try await client.ping()
        }
    }

    @Test func aNodeThatWasKilledIsFoundAgain() async throws {
        try await ClientNode.run { client, node in
            try await client.create("c", ["_id": "a"])
            for _ in 0..<3 {
                node.kill()
                try node.start()
                #expect(try await client.get("c", "a")?.id == "a")
            }
            #expect(client.topology.connectionCount == 1)
        }
    }

    /// An answer that comes when nobody waits any more, and a write that may have happened, have their names.
    @Test func whatTakesTooLongIsNamedByWhetherItMayHaveHappened() async throws {
        try await ClientNode.run(options: "timeoutMS=300") { client, node in
            try await client.create("c", ["_id": "a"])
            node.freeze()
            defer { node.thaw() }
            let read = await failure { _ = try await client.get("c", "a") }
            #expect(read?.kind == .timeout)
            let write = await failure { try await client.create("c", ["_id": "b"]) }
            #expect(write?.kind == .unknownOutcome && write?.isTimeout == true)
            node.thaw()
            #expect(try await client.get("c", "a")?.id == "a")
            #expect(try await client.get("c", "b")?.id == "b")
        }
    }
}
