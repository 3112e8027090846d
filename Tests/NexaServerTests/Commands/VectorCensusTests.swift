import NexaDocuments
import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct VectorCensusTests {
    /// GET_VECTORS over many collections, each of which would fit: what is kept of them has the bound of one answer.
    @Test func theSumOfAllCollectionsIsBounded() throws {
        let engine = try Engine.open(
            directory: "/data", fileSystem: CrashFileSystem(), options: EngineOptions(memoryByteCount: 64 << 20))
        let store = try DocumentStore(engine: engine)
        let worker = store.makeWorker()
        for number in 0..<20 {
            let collection = try store.catalog.createCollection(database: "default", name: "c\(number)").collection
            for document in 0..<20 {
                let key = MessagePackValue.string("\(document)" + String(repeating: "k", count: 500))
                try withBytes(MessagePackValue.map([.init("_id", key), .init("vector", [1.0])]).encoded()) {
                    _ = try worker.create(collection, document: $0, options: WriteOptions())
                }
            }
        }
        func census() -> VectorCensus {
            VectorCensus(
                database: "default", collections: store.catalog.view.collections(of: "default") ?? [], atLeast: engine.appliedLSN,
                deadline: nil)
        }
        let all = census()
        while try all.step(worker, budget: StepBudget(), limit: 1 << 20) != .done {}
        #expect(all.totalCount == 400)

        let bounded = census()
        let error = #expect(throws: DocumentError.self) {
            while try bounded.step(worker, budget: StepBudget(), limit: 64 << 10) != .done {}
        }
        #expect(error?.code == .resultTooLarge)
        #expect(bounded.entries.byteCount < 80 << 10)
        try engine.close()
    }
}
