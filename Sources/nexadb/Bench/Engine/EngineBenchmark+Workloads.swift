import Glibc
import NexaStorage
import Synchronization

/// What one thread did.
struct BenchmarkTally: Sendable {
    var operationCount = 0
    var foundCount = 0
    var byteCount = 0
    /// Said instead of the usual note.
    var remark = ""

    var note: String {
        foundCount > 0 ? "(\(foundCount) of \(operationCount) found)" : remark
    }

    static func + (left: BenchmarkTally, right: BenchmarkTally) -> BenchmarkTally {
        BenchmarkTally(
            operationCount: left.operationCount + right.operationCount, foundCount: left.foundCount + right.foundCount,
            byteCount: left.byteCount + right.byteCount)
    }
}

extension EngineBenchmark {
    static let keyByteCount = 16

    /// Runs `body` in each thread and adds up.
    func inThreads(_ body: @escaping @Sendable (_ thread: Int) throws -> BenchmarkTally) throws -> BenchmarkTally {
        if configuration.threadCount == 1 { return try body(0) }
        let results = ThreadResults()
        let threads = (0..<configuration.threadCount).map { index in
            NexaThread(name: "bench-\(index)") { results.add(Swift.Result { try body(index) }) }
        }
        for thread in threads { thread.join() }
        return try results.total()
    }

    func fill(_ thread: Int, isRandom: Bool) throws -> BenchmarkTally {
        var random = BenchmarkRandom(seed: configuration.seed + UInt64(thread))
        let values = CompressibleValues(seed: configuration.seed, valueByteCount: configuration.valueByteCount)
        let batch = WriteBatch()
        var tally = BenchmarkTally()
        let count = configuration.keyCount / configuration.threadCount
        var position = 0
        try withUnsafeTemporaryAllocation(byteCount: Self.keyByteCount, alignment: 8) { key in
            while tally.operationCount < count {
                batch.removeAll()
                for _ in 0..<configuration.batchCount {
                    let number = isRandom ? random.below(configuration.keyCount) : thread * count + tally.operationCount
                    Self.encode(number, into: key)
                    batch.put(key: UnsafeRawBufferPointer(key), value: values.value(at: &position))
                    tally.operationCount += 1
                }
                let lsn = try engine.commit(batch, durability: configuration.durability)
                if configuration.durability == .disk {
                    try engine.waitDurable(lsn)
                } else {
                    engine.flushLogInline()
                }
            }
        }
        return tally
    }

    func readRandom(_ thread: Int, count: Int) throws -> BenchmarkTally {
        var random = BenchmarkRandom(seed: configuration.seed &+ 7 &* UInt64(thread + 1))
        let reader = engine.makeReader()
        var tally = BenchmarkTally()
        try withUnsafeTemporaryAllocation(byteCount: Self.keyByteCount, alignment: 8) { key in
            for _ in 0..<count {
                Self.encode(random.below(configuration.keyCount), into: key)
                if let value = try reader.get(UnsafeRawBufferPointer(key), at: engine.visibleLSN) {
                    tally.foundCount += 1
                    tally.byteCount += value.bytes.count
                }
                tally.operationCount += 1
            }
        }
        return tally
    }

    func scan(count: Int) throws -> BenchmarkTally {
        let iterator = engine.makeReader().makeIterator(at: engine.visibleLSN)
        var tally = BenchmarkTally()
        try iterator.seekToFirst()
        while iterator.isValid && tally.operationCount < count {
            tally.byteCount += iterator.key.count + iterator.value.count
            tally.operationCount += 1
            try iterator.next()
        }
        return tally
    }

    func seekRandom(_ thread: Int, count: Int) throws -> BenchmarkTally {
        var random = BenchmarkRandom(seed: configuration.seed &+ 13 &* UInt64(thread + 1))
        let iterator = engine.makeReader().makeIterator(at: engine.visibleLSN)
        var tally = BenchmarkTally()
        try withUnsafeTemporaryAllocation(byteCount: Self.keyByteCount, alignment: 8) { key in
            for _ in 0..<count {
                Self.encode(random.below(configuration.keyCount), into: key)
                try iterator.seek(to: UnsafeRawBufferPointer(key))
                if iterator.isValid, memcmp(iterator.key.baseAddress!, key.baseAddress!, Self.keyByteCount) == 0 {
                    tally.foundCount += 1
                }
                tally.operationCount += 1
            }
        }
        return tally
    }

    /// Random reads while one more thread overwrites as fast as it can.
    func readWhileWriting(count: Int) throws -> BenchmarkTally {
        let isDone = SharedFlag()
        let writer = NexaThread(name: "bench-writer") {
            let values = CompressibleValues(seed: configuration.seed + 99, valueByteCount: configuration.valueByteCount)
            var random = BenchmarkRandom(seed: configuration.seed + 98)
            let batch = WriteBatch()
            var position = 0
            withUnsafeTemporaryAllocation(byteCount: Self.keyByteCount, alignment: 8) { key in
                while !isDone.isSet {
                    Self.encode(random.below(configuration.keyCount), into: key)
                    batch.removeAll()
                    batch.put(key: UnsafeRawBufferPointer(key), value: values.value(at: &position))
                    guard (try? engine.commit(batch, durability: configuration.durability)) != nil else { return }
                    engine.flushLogInline()
                }
            }
        }
        defer {
            isDone.set()
            writer.join()
        }
        return try inThreads { try readRandom($0, count: count / configuration.threadCount) }
    }

    func settle() throws -> BenchmarkTally {
        try engine.flush()
        try engine.compactAll()
        return BenchmarkTally(operationCount: 1)
    }

    private static func encode(_ number: Int, into key: UnsafeMutableRawBufferPointer) {
        ByteOrder.storeBE(UInt64(number), to: key.baseAddress!)
        ByteOrder.storeLE(0x3030_3030_3030_3030 as UInt64, to: key.baseAddress!, at: 8)
    }
}

/// SplitMix64.
struct BenchmarkRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// A mebibyte of text in which each piece of 100 bytes is 50 random ones twice, and windows of it: as `db_bench` makes its values.
final class CompressibleValues {
    private let bytes: [UInt8]
    private let valueByteCount: Int

    init(seed: UInt64, valueByteCount: Int) {
        var random = BenchmarkRandom(seed: seed)
        var bytes: [UInt8] = []
        while bytes.count < 1 << 20 + valueByteCount {
            let piece = (0..<50).map { _ in UInt8(32 + random.below(95)) }
            bytes += piece + piece
        }
        self.bytes = bytes
        self.valueByteCount = valueByteCount
    }

    func value(at position: inout Int) -> UnsafeRawBufferPointer {
        if position + valueByteCount > bytes.count { position = 0 }
        defer { position += valueByteCount }
        // The array lives as long as this object and is never changed.
        return bytes.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[position..<position + valueByteCount]) }
    }
}

private final class SharedFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}

private final class ThreadResults: Sendable {
    private let lock = NexaLock()
    nonisolated(unsafe) private var results: [Swift.Result<BenchmarkTally, any Error>] = []

    func add(_ result: Swift.Result<BenchmarkTally, any Error>) { lock.withLock { results.append(result) } }
    func total() throws -> BenchmarkTally {
        try lock.withLock { results }.reduce(BenchmarkTally()) { try $0 + $1.get() }
    }
}
