import NexaDocuments
import Synchronization
import Testing

struct DocumentIDTests {
    private func ids(_ generator: DocumentIDGenerator, _ count: Int) -> [String] {
        var run = generator.reserve(count)
        return (0..<count).map { _ in
            var bytes = [UInt8](repeating: 0, count: DocumentIDGenerator.byteCount)
            bytes.withUnsafeMutableBytes { run.writeNext(to: $0.baseAddress!) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    @Test func hasSixteenCharactersOfCrockfordBase32() {
        let generator = DocumentIDGenerator(clock: .system)
        let allowed = Set("0123456789abcdefghjkmnpqrstvwxyz")
        for id in ids(generator, 5000) {
            #expect(id.count == 16)
            #expect(id.allSatisfy { allowed.contains($0) })
        }
    }

    @Test func startsWithTheTime() {
        let clock = TestClock(1_795_357_366_595_000)
        let id = ids(DocumentIDGenerator(clock: WallClock { clock.microseconds }), 1)[0]
        let digits = Array("0123456789abcdefghjkmnpqrstvwxyz")
        let milliseconds = id.prefix(9).reduce(0) { $0 * 32 + digits.firstIndex(of: $1)! }
        #expect(milliseconds == 1_795_357_366_595)
    }

    @Test func increasesWhateverTheClockDoes() {
        let clock = TestClock(1_795_357_366_595_000)
        let generator = DocumentIDGenerator(clock: WallClock { clock.microseconds })
        var all: [String] = []
        for step in [0, 0, 1000, -5_000_000, 0, 3000, -1, 10_000_000] as [Int64] {
            clock.advance(microseconds: step)
            all += ids(generator, 100)
        }
        #expect(all == all.sorted())
        #expect(Set(all).count == all.count)
    }

    @Test func givesEachOfManyThreadsItsOwn() async {
        let generator = DocumentIDGenerator(clock: .system)
        let all = await withTaskGroup(of: [String].self) { group in
            for _ in 0..<4 { group.addTask { (0..<200).flatMap { _ in ids(generator, 7) } } }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(all).count == 4 * 200 * 7)
    }
}
