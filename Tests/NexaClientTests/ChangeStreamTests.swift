import NexaClient
import Testing

/// Change streams against a node.
@Suite(.serialized, .timeLimit(.minutes(1))) struct ChangeStreamTests {
    /// The changes of `collection` behind `token`, as far as the one of the document `key`.
    private static func events(
        of collection: NexaCollection<Document>, after token: ResumeToken, until key: String
    ) async throws -> [ChangeEvent<Document>] {
        var events: [ChangeEvent<Document>] = []
        for try await event in collection.watch(WatchOptions(resumeAfter: token)) {
            events.append(event)
            if event.key == key { break }
        }
        return events
    }

    /// The token of an event of `collection` that is made for it: what comes later is told behind it.
    private static func place(in collection: NexaCollection<Document>) async throws -> ResumeToken {
        let first = Task {
            for try await event in collection.watch() { return Optional(event.resumeToken) }
            return nil
        }
        // The subscription begins at some time: until it has, its first event is made again and again.
        let knocking = Task {
            while !Task.isCancelled {
                try await collection.insert(["knock": true])
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        let token = try #require(await first.value)
        knocking.cancel()
        _ = await knocking.result
        return token
    }

    @Test func everyChangeIsToldInOrderWithWhatItChanged() async throws {
        try await ClientNode.run { client, _ in
            let shelf = client.collection("shelf")
            let token = try await Self.place(in: shelf)
            try await shelf.create(["_id": "a", "n": 1])
            try await shelf.update("a", ["n": 2])
            try await shelf.delete("a")
            try await client.create("elsewhere", ["_id": "b"])
            try await shelf.create(["_id": "c"])
            let told = try await Self.events(of: shelf, after: token, until: "c").filter { $0.document?["knock"] == nil }
            #expect(told.map(\.operation) == ["insert", "update", "delete", "insert"])
            #expect(told.map(\.key) == ["a", "a", "a", "c"])
            #expect(told[0].document?["n"] == 1)
            #expect(told[1].document?["n"] == 2)
            #expect(told[1].updatedFields?["n"] == 2)
            #expect(told[2].document == nil)
            #expect(told.allSatisfy { $0.collection == "shelf" })
            // From a token in the middle on: the rest.
            let rest = try await Self.events(of: shelf, after: told[1].resumeToken, until: "c")
            #expect(rest.map(\.operation) == ["delete", "insert"])
        }
    }

    /// The node is killed while the loop runs: no event is missed, none comes twice.
    @Test func aStreamOutlivesTheNode() async throws {
        try await ClientNode.run(options: "timeoutMS=20000&serverSelectionTimeoutMS=15000") { client, node in
            let numbers = client.collection("numbers")
            let token = try await Self.place(in: numbers)
            let reading = Task {
                var seen: [Int] = []
                for try await event in numbers.watch(WatchOptions(resumeAfter: token)) {
                    guard let number = event.document?["n"]?.intValue else { continue }
                    seen.append(number)
                    if number == 299 { break }
                }
                return seen
            }
            for number in 0..<300 {
                if number % 100 == 50 {
                    node.kill()
                    try node.start()
                }
                try await numbers.insert(["n": .int(Int64(number))])
            }
            #expect(try await reading.value == Array(0..<300))
        }
    }
}
