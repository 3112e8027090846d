import CSupport
import NexaStorage
import NexaTestKit
import Testing

/// The C core below the tables: hash, codec, filter.
@Suite struct TableCoreTests {
    @Test func hashKernelsAgreeOnEveryLength() {
        guard nexa_xxh3_has_avx2() != 0 else { return }
        var generator = SeededGenerator(seed: 1)
        let bytes = generator.bytes(3000)
        for count in Array(0...600) + [1023, 1024, 1025, 2048, 3000] {
            let seed = generator.next()
            #expect(nexa_xxh3_baseline(bytes, count, seed) == nexa_xxh3_avx2(bytes, count, seed))
            #expect(nexa_xxh3(bytes, count, seed) == nexa_xxh3_baseline(bytes, count, seed))
        }
    }

    /// Values of the reference implementation: the format depends on them.
    @Test func hashHasTheValuesOfTheStandard() {
        #expect(nexa_xxh3(nil, 0, 0) == 0x2D06_8005_38D3_94C2)
        #expect(nexa_xxh3(Array("a".utf8), 1, 0) == 0xE6C6_32B6_1E96_4E1F)
        #expect(nexa_xxh3(Array("abc".utf8), 3, 0) == 0x78AF_5F94_892F_3950)
    }

    private func store(_ raw: [UInt8], context: UInt64, offset: UInt64) -> [UInt8] {
        let state = UnsafeMutableRawPointer.allocate(byteCount: nexa_codec_state_size(), alignment: 16)
        defer { state.deallocate() }
        var out = [UInt8](repeating: 0, count: nexa_codec_stored_max(raw.count))
        var count = 0
        #expect(nexa_block_store(state, 1, raw, raw.count, context, offset, &out, out.count, &count) == NEXA_OK)
        return Array(out[..<count])
    }

    @Test func storedBlockComesBackOnlyFromItsOwnPlace() {
        var generator = SeededGenerator(seed: 2)
        for raw in [[], generator.bytes(5000), [UInt8](repeating: 7, count: 5000), generator.bytes(1)] {
            let stored = store(raw, context: 77, offset: 4096)
            var trailer = nexa_trailer()
            #expect(nexa_block_check_stored(stored, stored.count, 1, 77, 4096, &trailer) == NEXA_OK)
            var back = [UInt8](repeating: 0, count: Int(trailer.raw_len))
            #expect(nexa_block_expand(stored, stored.count, &trailer, &back) == NEXA_OK)
            #expect(back == raw)
            #expect(nexa_block_check_stored(stored, stored.count, 1, 78, 4096, &trailer) == NEXA_CORRUPT)
            #expect(nexa_block_check_stored(stored, stored.count, 1, 77, 8192, &trailer) == NEXA_CORRUPT)
            #expect(nexa_block_check_stored(stored, stored.count, 2, 77, 4096, &trailer) == NEXA_CORRUPT)
            #expect(nexa_block_check_stored(stored, stored.count - 1, 1, 77, 4096, &trailer) == NEXA_CORRUPT)
        }
    }

    @Test func compressionIsKeptOnlyWhereItSavesTwelvePercent() {
        var generator = SeededGenerator(seed: 3)
        for compressible in stride(from: 0, through: 1000, by: 25) {
            let raw = generator.bytes(1000 - compressible) + [UInt8](repeating: 1, count: compressible)
            let stored = store(raw, context: 1, offset: 0)
            let isRaw = stored[stored.count - 15] == UInt8(NEXA_CODEC_RAW)
            #expect(isRaw ? stored.count == 1016 : stored.count - 16 <= 880)
            if compressible < 100 { #expect(isRaw) }
            if compressible > 200 { #expect(!isRaw) }
        }
    }

    @Test func filterKnowsItsKeysAndFewOthers() {
        var generator = SeededGenerator(seed: 4)
        for (bits, rateMax) in [(6, 0.08), (10, 0.016), (16, 0.006)] {
            let hashes = (0..<20_000).map { _ in generator.next() }
            var bytes = [UInt8](repeating: 0, count: nexa_bloom_byte_count(hashes.count, UInt32(bits)))
            #expect(nexa_bloom_build(hashes, hashes.count, UInt32(bits), &bytes, bytes.count) == NEXA_OK)
            bytes.withUnsafeBufferPointer { buffer in
                var bloom = nexa_bloom()
                #expect(nexa_bloom_open(buffer.baseAddress, buffer.count, &bloom) == NEXA_OK)
                #expect(hashes.allSatisfy { nexa_bloom_may_contain(&bloom, $0) })
                let wrong = (0..<50_000).count { _ in nexa_bloom_may_contain(&bloom, generator.next()) }
                let rate = Double(wrong) / 50_000
                print("\(bits) bits a key: \(rate * 100) % false positives")
                #expect(rate < rateMax)
            }
        }
    }

    @Test func keyPrefixesOrderLikeKeys() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            let keys = (0..<2).map { _ in
                [UInt8](repeating: 0, count: generator.below(7)) + generator.bytes(generator.below(6)).map { $0 % 3 }
            }
            let order = keys[0].withUnsafeBytes { left in keys[1].withUnsafeBytes { compareKeys(left, $0) } }
            let prefixes = keys.map { nexa_key_prefix($0, $0.count) }
            if prefixes[0] < prefixes[1] { #expect(order < 0) }
            if prefixes[0] > prefixes[1] { #expect(order > 0) }
        }
    }
}
