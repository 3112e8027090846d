import NexaTestKit
import NexaWire

/// Small random documents and filters over the same few names and values, so that they often meet.
enum RandomDocuments {
    static func document(_ key: String, _ random: inout SeededGenerator) -> MessagePackValue {
        var entries: [MessagePackValue.Entry] = [.init("_id", .string(key))]
        for name in ["a", "b", "c", "d"] where random.chance(0.7) { entries.append(.init(name, value(&random, depth: 2))) }
        return .map(entries)
    }

    static func value(_ random: inout SeededGenerator, depth: Int) -> MessagePackValue {
        switch random.below(depth > 0 ? 9 : 6) {
        case 0: return .null
        case 1: return .bool(random.chance(0.5))
        case 2, 3: return .int(Int64(random.below(6)))
        case 4: return .double(Double(random.below(12)) / 2)
        case 5: return .string(["x", "y", "z", ""][random.below(4)])
        case 6: return .array((0..<random.below(4)).map { _ in value(&random, depth: depth - 1) })
        default:
            var entries: [MessagePackValue.Entry] = []
            for name in ["a", "b"] where random.chance(0.6) { entries.append(.init(name, value(&random, depth: depth - 1))) }
            return .map(entries)
        }
    }

    static func filter(_ random: inout SeededGenerator, depth: Int) -> MessagePackValue {
        if depth > 0 && random.chance(0.3) {
            let parts = (0...random.below(2)).map { _ in filter(&random, depth: depth - 1) }
            return .map([.init(["$and", "$or", "$nor"][random.below(3)], .array(parts))])
        }
        return .map([.init(path(&random), condition(&random, depth: depth))])
    }

    private static func path(_ random: inout SeededGenerator) -> String {
        ["a", "b", "c", "d", "a.a", "b.a", "c.b", "a.0", "b.a.b", "d.1"][random.below(10)]
    }

    private static func condition(_ random: inout SeededGenerator, depth: Int) -> MessagePackValue {
        let scalar = value(&random, depth: 0)
        switch random.below(10) {
        case 0: return scalar
        case 1: return .map([.init("$ne", scalar)])
        case 2: return .map([.init("$gt", ordered(&random))])
        case 3: return .map([.init("$gte", ordered(&random)), .init("$lt", ordered(&random))])
        case 4: return .map([.init("$lte", ordered(&random))])
        case 5: return .map([.init("$in", .array((0..<3).map { _ in value(&random, depth: 0) }))])
        case 6: return .map([.init("$nin", .array((0..<2).map { _ in value(&random, depth: 0) }))])
        case 7: return .map([.init("$exists", .bool(random.chance(0.5)))])
        case 8: return .map([.init("$eq", scalar)])
        default: return .map([.init("$not", .map([.init("$gte", ordered(&random))]))])
        }
    }

    /// A value that has an order: ranges over null and the like have rules of their own, which data/query-cases.json judges.
    private static func ordered(_ random: inout SeededGenerator) -> MessagePackValue {
        random.chance(0.7) ? .double(Double(random.below(12)) / 2) : .string(["x", "y", "z"][random.below(3)])
    }
}
