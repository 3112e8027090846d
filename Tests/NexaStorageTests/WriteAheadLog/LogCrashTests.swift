import NexaStorage
import NexaTestKit
import Testing

/// Power cuts: every acknowledged write is there, what is there is a prefix of what was written, and no crash is mistaken for damage.
@Suite struct LogCrashTests {
    /// The experiment of the reference model: every subset of the sectors of an un-synced tail, on a fresh and on a recycled file.
    @Test(arguments: [false, true]) func everySubsetOfUnsyncedSectors(isRecycled: Bool) throws {
        let disk = try LogFixture.emptyDisk()
        var fixture = LogFixture(fileSystem: disk)
        fixture.options.segmentByteCount = 8 << 10
        fixture.options.starterByteCount = 8 << 10
        var generator = SeededGenerator(seed: 7)
        var writer = try fixture.start()
        if isRecycled {
            // Fill a segment, give it up and come round to it again.
            while writer.end.segmentID < 2 { try writer.append([generator.bytes(300)]) }
            try writer.segments.retire(below: 2)
            while writer.end.segmentID < 3 { try writer.append([generator.bytes(300)]) }
            try writer.sync()
            #expect(!disk.exists(LogFixture.path(1)), "the first file is in use again")
        } else {
            try writer.append([generator.bytes(120), generator.bytes(40)])
            try writer.sync()
        }
        let segmentID = writer.end.segmentID
        let syncedLSN = writer.syncedLSN
        let start = Int(writer.end.offset)
        let synced = try disk.contents(LogFixture.path(segmentID))
        try writer.append((0..<6).map { generator.bytes(120 + 90 * $0) })
        #expect(writer.end.segmentID == segmentID)
        let full = try disk.contents(LogFixture.path(segmentID))
        let evidence = DurableEvidence(walLow: isRecycled ? 2 : 1, flushedLSN: isRecycled ? syncedLSN : 0)

        let sectors = Array(start / 512..<(Int(writer.end.offset) + 511) / 512)
        var prefixes: [LSN: Int] = [:]
        var tornCount = 0
        for subset in 0..<1 << sectors.count {
            var bytes = synced
            for (index, sector) in sectors.enumerated() where subset >> index & 1 == 1 {
                bytes.replaceSubrange(sector * 512..<sector * 512 + 512, with: full[sector * 512..<sector * 512 + 512])
            }
            let copy = disk.crashClone(keepUnsynced: 1, seed: 0)
            try copy.setContents(LogFixture.path(segmentID), bytes)
            let found = try LogFixture(fileSystem: copy).recover(evidence, makesDurable: false)
            #expect(found.log.end.lsn >= syncedLSN)
            prefixes[found.log.end.lsn - syncedLSN, default: 0] += 1
            if found.log.tail == .tornTail { tornCount += 1 }
        }
        let kept = prefixes.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        print(
            "\(1 << sectors.count) subsets of \(sectors.count) sectors, recycled \(isRecycled), by records kept \(kept); torn \(tornCount)"
        )
        #expect(prefixes[0] != nil && prefixes[6] != nil, "from nothing to everything")
        writer = try fixture.start(try fixture.recover(evidence).log)
        try writer.close()
    }

    /// A run of groups, syncs, rotations, marks, retirements, crashes and recoveries, all from one seed.
    @Test func seededCrashesLoseNothingThatWasAcknowledged() throws {
        let seed = SeededGenerator.seed(default: 1)
        let crashCount = TestScale.count(3000, small: 600)
        var tornCount = 0
        for run in 0..<UInt64(crashCount / 6) {
            try crashRun(seed: seed &* 1_000_003 &+ run, crashes: 6, &tornCount)
        }
        print("\(crashCount) crashes from seed \(seed): \(tornCount) torn tails, no acknowledged write lost, no false alarm")
        #expect(tornCount > crashCount / 30, "the crashes must hit un-synced tails")
    }

    private func crashRun(seed: UInt64, crashes: Int, _ tornCount: inout Int) throws {
        var generator = SeededGenerator(seed: seed)
        var disk = try LogFixture.emptyDisk()
        var written: [LSN: [UInt8]] = [:]
        var acknowledgedLSN: LSN = 0
        var evidence = DurableEvidence()
        for _ in 0..<crashes {
            var fixture = LogFixture(fileSystem: disk)
            fixture.options.segmentByteCount = 24 << 10
            fixture.options.starterByteCount = 24 << 10
            let found = try fixture.recover(evidence)
            if found.log.tail == .tornTail { tornCount += 1 }
            #expect(found.log.end.lsn >= acknowledgedLSN, "seed \(seed)")
            for (lsn, payload) in found.payloads { #expect(written[lsn] == payload, "seed \(seed) LSN \(lsn)") }
            written = written.filter { $0.key <= found.log.end.lsn }
            acknowledgedLSN = found.log.end.lsn

            let writer = try fixture.start(found.log)
            if evidence.walLow == 0 { evidence.walLow = writer.segments.all[0].id }
            try writer.segments.retire(found.log.obsolete)
            for _ in 0..<generator.below(12) {
                switch generator.below(8) {
                case 0: try writer.writeMark(durable: writer.syncedLSN)
                case 1, 2:
                    try writer.sync()
                    acknowledgedLSN = writer.syncedLSN
                case 3 where generator.chance(0.3):
                    // Tables took over what is in the older segments.
                    try writer.sync()
                    acknowledgedLSN = writer.syncedLSN
                    evidence.flushedLSN = writer.syncedLSN
                    evidence.walLow = writer.end.segmentID
                    evidence.mark = writer.end.durableMark
                    try writer.segments.retire(below: evidence.walLow)
                default:
                    let payloads = (0..<generator.below(4) + 1).map { _ in generator.bytes(generator.below(1800)) }
                    for (index, payload) in payloads.enumerated() { written[writer.end.lsn + 1 + LSN(index)] = payload }
                    try writer.append(payloads)
                    acknowledgedLSN = max(acknowledgedLSN, writer.syncedLSN)
                }
            }
            if generator.chance(0.1) {
                try writer.close()
                acknowledgedLSN = writer.syncedLSN
            }
            disk = disk.crashClone(keepUnsynced: [0, 0.2, 0.5, 0.8, 1][generator.below(5)], seed: generator.next())
        }
    }

    /// A crash before every single call to the file system, each on several kinds of disk.
    @Test func aCrashBetweenAnyTwoCallsIsRecovered() throws {
        var crashPoint = 1
        var isDone = false
        while !isDone {
            let disk = try LogFixture.emptyDisk()
            let state = CrashPoint(disk: disk, at: crashPoint)
            let faulty = FaultFileSystem(disk) { _, _, number in state.reached(number) }
            var fixture = LogFixture(fileSystem: faulty)
            fixture.options.segmentByteCount = 5 << 10
            fixture.options.starterByteCount = 5 << 10
            let writer = try fixture.start()
            for lsn: LSN in 1...12 {
                try writer.append([[UInt8](repeating: UInt8(lsn), count: 600)])
                if lsn % 2 == 0 { try writer.sync() }
                state.acknowledge(writer.syncedLSN)
            }
            try writer.close()
            isDone = state.clones.isEmpty
            for (clone, acknowledgedLSN) in state.clones {
                let found = try LogFixture(fileSystem: clone).recover()
                #expect(found.log.end.lsn >= acknowledgedLSN, "crash before call \(crashPoint)")
                let again = try LogFixture(fileSystem: clone).start(found.log)
                try again.append([[99]])
                try again.sync()
                let next = LogFixture(fileSystem: clone.crashClone(keepUnsynced: 0, seed: 1))
                #expect(try next.recover().log.end.lsn == found.log.end.lsn + 1, "crash before call \(crashPoint)")
            }
            crashPoint += 1
        }
        #expect(crashPoint > 30)
    }

    /// The test of the tests: a disk that lies about syncs must be caught.
    @Test func aLyingSyncIsNoticedByTheseTests() throws {
        let disk = try LogFixture.emptyDisk()
        let lying = FaultFileSystem(disk, rules: [FaultRule(.sync, pathSuffix: ".wal", nth: 3, count: .max, effect: .drop)])
        let writer = try LogFixture(fileSystem: lying).start()
        try writer.append([[1]])
        try writer.sync()
        try writer.append([[2]])
        try writer.sync()
        let after = LogFixture(fileSystem: disk.crashClone(keepUnsynced: 0, seed: 1))
        #expect(try after.recover().log.end.lsn < writer.syncedLSN)
    }
}

/// Takes clones of a disk when a certain call is about to happen. Confined to the test's thread.
private final class CrashPoint: @unchecked Sendable {
    private let disk: CrashFileSystem
    private let callNumber: Int
    private var acknowledgedLSN: LSN = 0
    private(set) var clones: [(CrashFileSystem, LSN)] = []

    init(disk: CrashFileSystem, at callNumber: Int) {
        self.disk = disk
        self.callNumber = callNumber
    }

    func acknowledge(_ lsn: LSN) { acknowledgedLSN = lsn }

    func reached(_ number: Int) {
        guard number == callNumber else { return }
        for (index, keep) in [0, 0.3, 0.7, 1].enumerated() {
            clones.append((disk.crashClone(keepUnsynced: keep, seed: UInt64(callNumber * 10 + index)), acknowledgedLSN))
        }
    }
}
