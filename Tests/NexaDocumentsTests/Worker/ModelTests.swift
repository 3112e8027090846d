import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// Random operations against a dictionary: whatever the store answers, the dictionary answers too; at the end, and after
/// closing and opening again, they hold the same documents.
struct ModelTests {
    struct Model {
        var documents: [String: MessagePackValue] = [:]

        mutating func create(_ key: String, _ fields: [MessagePackValue.Entry]) -> Bool {
            guard documents[key] == nil else { return false }
            documents[key] = .map([.init("_id", .string(key))] + fields)
            return true
        }

        mutating func merge(_ key: String, _ fields: [MessagePackValue.Entry]) -> Bool {
            guard case .map(var entries)? = documents[key] else { return false }
            for field in fields {
                if let index = entries.firstIndex(where: { $0.key == field.key }) {
                    entries[index] = field
                } else {
                    entries.append(field)
                }
            }
            documents[key] = .map(entries)
            return true
        }

        var inKeyOrder: [MessagePackValue] {
            documents.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map(\.value)
        }
    }

    @Test func agreesWithADictionary() throws {
        let seed = SeededGenerator.seed(default: UInt64.random(in: 0..<1_000_000))
        print("ModelTests: NEXA_TEST_SEED=\(seed)")
        var random = SeededGenerator(seed: seed)
        var options = EngineOptions(memoryByteCount: 8 << 20)
        options.segmentByteCount = 256 << 10
        // Small memtables: the run goes through flushes and compactions.
        options.memTableByteCount = 256 << 10
        let test = try TestStore(options: options)
        let things = try test.collection()
        var model = Model()
        let stepCount = TestScale.count(4000, small: 800)
        for step in 0..<stepCount {
            try self.step(test, things, &model, &random, "seed \(seed), step \(step)")
            if step % (stepCount / 4) == stepCount / 4 - 1 { try compare(test, things, model, "seed \(seed), step \(step)") }
        }
        let reopened = try test.reopened()
        try compare(reopened, try reopened.collection(), model, "seed \(seed), reopened")
    }

    private func compare(_ test: TestStore, _ things: Collection, _ model: Model, _ comment: Comment) throws {
        #expect(try test.query(in: things).map(\.withoutTimestamps) == model.inKeyOrder, comment)
    }

    private func step(
        _ test: TestStore, _ things: Collection, _ model: inout Model, _ random: inout SeededGenerator, _ comment: Comment
    ) throws {
        let key = "key\(random.below(150))"
        switch random.below(10) {
        case 0...2:
            let fields = fields(&random)
            let error = errorOf { try test.create(.map([.init("_id", .string(key))] + fields), in: things) }
            #expect((error == nil) == model.create(key, fields), comment)
            #expect(error == nil || error?.code == .duplicate, comment)
        case 3, 4:
            let fields = fields(&random)
            let updated = try test.update(key, .map(fields), in: things)
            #expect((updated != nil) == model.merge(key, fields), comment)
            #expect(updated?.withoutTimestamps == model.documents[key], comment)
        case 5:
            #expect(try test.delete(key, in: things) == (model.documents.removeValue(forKey: key) != nil), comment)
        case 6...8:
            #expect(try test.read(key, in: things)?.withoutTimestamps == model.documents[key], comment)
        default:
            try batch(test, things, &model, &random, comment)
        }
    }

    private func batch(
        _ test: TestStore, _ things: Collection, _ model: inout Model, _ random: inout SeededGenerator, _ comment: Comment
    ) throws {
        var after = model
        var succeeds = true
        let operations = (0..<1 + random.below(8)).map { _ -> MessagePackValue in
            let key = "key\(random.below(150))"
            let fields = fields(&random)
            switch random.below(4) {
            case 0:
                succeeds = after.create(key, fields) && succeeds
                return ["op": "create", "data": .map([.init("_id", .string(key))] + fields)]
            case 1:
                after.documents[key] = nil
                _ = after.create(key, fields)
                return ["op": "put", "data": .map([.init("_id", .string(key))] + fields)]
            case 2:
                succeeds = after.merge(key, fields) && succeeds
                return ["op": "update", "key": .string(key), "updates": .map(fields)]
            default:
                succeeds = after.documents.removeValue(forKey: key) != nil && succeeds
                return ["op": "delete", "key": .string(key)]
            }
        }
        let error = errorOf { _ = try test.batch(operations: operations, in: things) }
        #expect((error == nil) == succeeds, comment)
        if error == nil { model = after }
    }

    private func fields(_ random: inout SeededGenerator) -> [MessagePackValue.Entry] {
        ["a", "b", "c", "id", "_x"].filter { _ in random.chance(0.5) }.map { name in
            .init(
                name,
                random.chance(0.1)
                    ? .string(String(repeating: "s", count: random.below(5000))) : RandomDocuments.value(&random, depth: 2))
        }
    }
}
