import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// Drops against writers on other threads: nothing is written behind a drop, and nobody waits for ever.
struct DropRaceTests {
    /// Entries of the engine outside the catalog.
    private func orphanCount(_ test: TestStore) throws -> Int {
        let iterator = test.engine.makeReader().makeIterator(lowerBound: [0, 0, 0, 1], at: test.engine.appliedLSN)
        try iterator.seekToFirst()
        var count = 0
        while iterator.isValid {
            count += 1
            try iterator.next()
        }
        return count
    }

    @Test func noDocumentIsWrittenBehindADrop() async throws {
        let test = try TestStore()
        let store = test.store
        for round in 0..<20 {
            let name = "c\(round)"
            let collection = try test.collection(name)
            let codes = await withTaskGroup(of: [ErrorCode?].self) { group in
                for writer in 0..<3 {
                    group.addTask { Self.write(store, collection, writer: writer) }
                }
                group.addTask {
                    _ = try? store.catalog.dropCollection(database: "default", name: name)
                    return []
                }
                return await group.reduce(into: [ErrorCode?]()) { $0 += $1 }
            }
            // A writer may come before or after the drop, and hears of it if after.
            #expect(codes.allSatisfy { $0 == nil || $0 == .noSuchCollection })
            #expect(try orphanCount(test) == 0)
        }
    }

    /// Creates with first vectors (they change the catalog) and batches, until one is refused.
    private static func write(_ store: DocumentStore, _ collection: Collection, writer: Int) -> [ErrorCode?] {
        let worker = store.makeWorker()
        let document: MessagePackValue = ["writer": .int(Int64(writer)), "vector": [1, 2]]
        var codes: [ErrorCode?] = []
        for step in 0..<200 where codes.last != .some(.noSuchCollection) {
            let error = errorOf {
                if step % 2 == 0 {
                    try withBytes(document) { _ = try worker.create(collection, document: $0, options: WriteOptions()) }
                } else {
                    try withBytes(.array([document, document])) { bytes in
                        try withBytes("default") { database in
                            let request = BatchRequest(items: .documents(bytes), database: database, collection: collection)
                            _ = try worker.batch(request)
                        }
                    }
                }
            }
            codes.append(error?.code)
        }
        return codes
    }
}
