import CSupport
import NexaStorage
import NexaTestKit
import Testing

/// A raw block with everything that a cursor needs, for tests.
final class RawBlock {
    let raw: UnsafeMutableBufferPointer<UInt8>
    private let scratch = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 70_000)
    private let prefixes = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: 4096)
    let block = UnsafeMutablePointer<nexa_block>.allocate(capacity: 1)

    /// Nil: damaged.
    init?(_ bytes: [UInt8], prefixCapacity: Int = 4096) {
        raw = .allocate(capacity: bytes.count)
        _ = raw.initialize(from: bytes)
        block.initialize(to: nexa_block())
        guard
            nexa_block_open(
                raw.baseAddress, raw.count, scratch.baseAddress, scratch.count, prefixes.baseAddress, prefixCapacity, block)
                == NEXA_OK
        else { return nil }
    }

    deinit {
        raw.deallocate()
        scratch.deallocate()
        prefixes.deallocate()
        block.deallocate()
    }

    static func build(_ entries: [TestEntry], restartInterval: UInt32) -> [UInt8] {
        let builder = nexa_block_builder_create(restartInterval, 1 << 24)!
        defer { nexa_block_builder_destroy(builder) }
        for entry in entries {
            let status = nexa_block_builder_add(
                builder, entry.key, entry.key.count, entry.lsn, entry.kind.rawValue, entry.value, entry.value.count)
            precondition(status == NEXA_OK)
        }
        var count = 0
        let raw = nexa_block_builder_finish(builder, &count)
        return Array(UnsafeBufferPointer(start: raw, count: count))
    }

    func get(_ key: [UInt8], _ lsn: LSN) -> TestEntry? {
        var entry = nexa_entry()
        return nexa_block_get(block, key, key.count, lsn, &entry) ? TestEntry(key: key, entry) : nil
    }

    /// Calls `body` with a cursor on the block.
    func withCursor<R>(_ body: (inout nexa_block_cursor) -> R) -> R {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(block.pointee.key_len_max) + Int(NEXA_KEY_BUFFER_SLACK)) {
            buffer in
            var cursor = nexa_block_cursor()
            cursor.key_buffer = buffer.baseAddress
            cursor.key_capacity = buffer.count
            precondition(nexa_block_cursor_attach(&cursor, block) == NEXA_OK)
            return body(&cursor)
        }
    }
}

extension TestEntry {
    init(key: [UInt8], _ entry: nexa_entry) {
        self.init(
            key: key, lsn: entry.lsn, kind: OpKind(rawValue: entry.kind)!,
            value: Array(UnsafeBufferPointer(start: entry.value, count: Int(entry.value_len))))
    }

    init(_ entry: nexa_entry) {
        self.init(key: Array(UnsafeBufferPointer(start: entry.key, count: Int(entry.key_len))), entry)
    }
}

@Suite struct BlockTests {
    @Test(arguments: [1, 2, 3, 16, 255] as [UInt32]) func walksAndFindsWhatAModelSays(restartInterval: UInt32) throws {
        let seed = SeededGenerator.seed(default: 0xB10C + UInt64(restartInterval))
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 1...15 {
            let model = EntryModel.random(&generator, count: round * round, keyCount: 3 + round * 8)
            let bytes = RawBlock.build(model.entries, restartInterval: restartInterval)
            for prefixCapacity in [0, 4096] {
                let block = try #require(RawBlock(bytes, prefixCapacity: prefixCapacity))
                block.withCursor { cursor in
                    var forward: [TestEntry] = []
                    nexa_block_cursor_first(&cursor)
                    while cursor.entry.valid {
                        forward.append(TestEntry(cursor.entry))
                        nexa_block_cursor_next(&cursor)
                    }
                    #expect(forward == model.entries)
                    for _ in 0..<60 { seek(&cursor, block, model, &generator) }
                }
            }
        }
    }

    private func seek(
        _ cursor: inout nexa_block_cursor, _ block: RawBlock, _ model: EntryModel, _ generator: inout SeededGenerator
    ) {
        let key = EntryModel.randomKey(&generator, 130)
        let lsn = generator.chance(0.2) ? LSN.max : LSN(generator.below(model.entries.count + 2))
        let target = TestEntry(key: key, lsn: lsn)
        var index = model.entries.firstIndex { !TestEntry.precedes($0, target) }
        nexa_block_cursor_seek(&cursor, key, key.count, lsn)
        #expect((cursor.entry.valid ? TestEntry(cursor.entry) : nil) == index.map { model.entries[$0] })
        #expect(block.get(key, lsn) == index.map { model.entries[$0] }.flatMap { $0.key == key ? $0 : nil })
        // From wherever a seek ends, the walk goes on correctly.
        for _ in 0..<3 where cursor.entry.valid {
            nexa_block_cursor_next(&cursor)
            index! += 1
            #expect(
                (cursor.entry.valid ? TestEntry(cursor.entry) : nil)
                    == (index! < model.entries.count ? model.entries[index!] : nil))
        }
    }

    @Test func builderRefusesDisorderAndTooMuchAndGoesOn() {
        let builder = nexa_block_builder_create(16, 4096)!
        defer { nexa_block_builder_destroy(builder) }
        func add(_ key: [UInt8], _ lsn: LSN, _ valueByteCount: Int = 0) -> nexa_status {
            nexa_block_builder_add(builder, key, key.count, lsn, 1, [UInt8](repeating: 0, count: valueByteCount), valueByteCount)
        }
        #expect(add([5], 10) == NEXA_OK)
        #expect(add([5], 10) == NEXA_OUT_OF_ORDER)
        #expect(add([5], 11) == NEXA_OUT_OF_ORDER)
        #expect(add([4], 1) == NEXA_OUT_OF_ORDER)
        #expect(add([], 1) == NEXA_OUT_OF_ORDER)
        #expect(add([6], 1, 5000) == NEXA_TOO_LARGE)
        #expect(add([UInt8](repeating: 9, count: 65_536), 1) == NEXA_TOO_LARGE)
        #expect(add([7], 1 << 60) == NEXA_TOO_LARGE)
        #expect(add([5], 9) == NEXA_OK)
        #expect(add([5, 0], 9) == NEXA_OK)
        #expect(nexa_block_builder_entry_count(builder) == 3)
    }

    /// Every byte of a raw block changed to a few others: refused, or a block that can be walked without leaving its memory. (In a
    /// file the checksum stands before this check.)
    @Test func anyByteChangedIsRefusedOrHarmless() throws {
        var generator = SeededGenerator(seed: 6)
        let model = EntryModel.random(&generator, count: 40, keyCount: 20)
        let good = RawBlock.build(model.entries, restartInterval: 4)
        var refused = 0
        for index in good.indices {
            for mask in [0x01, 0x80, 0xFF] as [UInt8] {
                var bytes = good
                bytes[index] ^= mask
                guard let block = RawBlock(bytes) else {
                    refused += 1
                    continue
                }
                block.withCursor { cursor in
                    var count = 0
                    nexa_block_cursor_first(&cursor)
                    while cursor.entry.valid {
                        count += TestEntry(cursor.entry).value.count >= 0 ? 1 : 0
                        nexa_block_cursor_next(&cursor)
                    }
                    #expect(count == Int(block.block.pointee.entry_count))
                }
            }
        }
        print("\(refused) of \(good.count * 3) changed bytes refused by structure alone")
        #expect(refused > good.count / 10)
    }
}
