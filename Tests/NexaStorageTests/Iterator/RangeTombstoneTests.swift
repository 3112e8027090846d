import NexaStorage
import NexaTestKit
import Testing

@Suite struct RangeTombstoneTests {
    @Test func coversWhatABruteForceSearchCovers() {
        let seed = SeededGenerator.seed(default: 0x7057)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let model = EntryModel.random(&generator, count: 1 + generator.below(20), keyCount: 30, rangeDeletes: 1)
            let set = RangeTombstoneSet(model.tombstones)
            for _ in 0..<50 {
                let key = EntryModel.randomKey(&generator, 35)
                let lsn = LSN(generator.below(25))
                #expect(key.withUnsafeBytes { set.covering($0, at: lsn) } == model.cover(key, at: lsn))
            }
        }
    }

    @Test func ignoresEmptyRanges() {
        let set = RangeTombstoneSet([RangeTombstone(start: [5], end: [5], lsn: 1), RangeTombstone(start: [6], end: [2], lsn: 2)])
        #expect([5].withUnsafeBytes { set.covering($0, at: .max) } == 0)
    }
}
