import NexaStorage

/// One operation of a batch, as a model sees it.
package enum ModelOperation: Equatable, Sendable {
    case put(key: [UInt8], value: [UInt8])
    case delete(key: [UInt8])
    case deleteRange(start: [UInt8], end: [UInt8])
}

/// What was committed, in order: batch n has LSN n. The oracle of every engine test: the state at an LSN is the batches up to it, applied
/// to nothing.
package struct CommitHistory: Sendable {
    package private(set) var batches: [[ModelOperation]] = []

    package init() {}

    package var lastLSN: LSN { LSN(batches.count) }

    package mutating func append(_ batch: [ModelOperation]) { batches.append(batch) }

    /// Forgets what a crash has taken.
    package mutating func truncate(to lsn: LSN) { batches.removeLast(batches.count - Int(lsn)) }

    /// The state at an LSN, in key order.
    package func state(at lsn: LSN) -> [(key: [UInt8], value: [UInt8])] {
        var state: [[UInt8]: [UInt8]] = [:]
        for batch in batches[..<Int(lsn)] {
            // A range delete hides what earlier batches wrote, wherever in its batch it stands.
            for case .deleteRange(let start, let end) in batch {
                state = state.filter { !(inOrder(start, $0.key) && !inOrder(end, $0.key)) }
            }
            for operation in batch {
                switch operation {
                case .put(let key, let value): state[key] = value
                case .delete(let key): state[key] = nil
                case .deleteRange: break
                }
            }
        }
        return state.sorted { !inOrder($1.key, $0.key) }.map { (key: $0.key, value: $0.value) }
    }

    /// `left` is not behind `right`.
    private func inOrder(_ left: [UInt8], _ right: [UInt8]) -> Bool { !right.lexicographicallyPrecedes(left) }
}

extension WriteBatch {
    package func add(_ operation: ModelOperation) {
        switch operation {
        case .put(let key, let value): put(key, value)
        case .delete(let key): delete(key)
        case .deleteRange(let start, let end): deleteRange(start, end)
        }
    }
}

/// Random batches over a small set of keys, so that they meet often.
package struct BatchGenerator: Sendable {
    package var keyCount = 40
    package var operationCountMax = 6
    package var valueByteCountMax = 200

    package init() {}

    package func key(_ number: Int) -> [UInt8] { Array("key\(number + 100)".utf8) }

    package func batch(_ generator: inout SeededGenerator) -> [ModelOperation] {
        (0...generator.below(operationCountMax)).map { _ in
            switch generator.below(20) {
            case 0...12:
                // Now and then a value that spans sectors, so that a crash can tear its record.
                let limit = generator.chance(0.1) ? 10 * valueByteCountMax : valueByteCountMax
                return .put(key: key(generator.below(keyCount)), value: generator.bytes(generator.below(limit)))
            case 13...17: return .delete(key: key(generator.below(keyCount)))
            default:
                let start = generator.below(keyCount)
                return .deleteRange(start: key(start), end: key(start + 1 + generator.below(10)))
            }
        }
    }
}
