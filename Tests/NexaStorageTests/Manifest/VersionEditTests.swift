import NexaStorage
import NexaTestKit
import Testing

@Suite struct VersionEditTests {
    /// The edit of the golden vector in docs/formats/manifest.md.
    private var golden: VersionEdit {
        var edit = VersionEdit()
        edit.storeUUID = ManifestFixture.uuid
        edit.removed = [VersionEdit.RemovedFile(level: 1, number: 9)]
        edit.added = [
            TableFile(
                level: 1, number: 300, byteCount: 5000, smallestKey: Array("a".utf8), largestKey: Array("zz".utf8),
                smallestLSN: 7,
                largestLSN: 200, entryCount: 50, tombstoneCount: 3, fileContext: 0x1122_3344_5566_7788,
                digest: 0x99AA_BBCC_DDEE_FF00)
        ]
        edit.walLow = 4
        edit.nextFile = 301
        edit.flushedLSN = 200
        edit.epochs = [EpochStart(epoch: 2, firstLSN: 150)]
        edit.durableMark = DurableMark(segmentID: 4, offset: 8192, lsn: 210, chain: 0xC0FFEE)
        return edit
    }

    private func decode(_ bytes: [UInt8], _ fieldCount: Int) -> VersionEdit.Decoded {
        bytes.withUnsafeBytes { VersionEdit.decode($0, fieldCount: fieldCount) }
    }

    @Test func anEditHasTheGoldenBytes() {
        let (bytes, fieldCount) = golden.encoded()
        let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(fieldCount == 8)
        #expect(
            hex
                == "01105555555555555555555555555555555505020109032001ac0288270161027a7a07c801320300887766554433221100ffeeddccbbaa990701040902ad020b02c8010d03029601020d048040d201eeffc00000000000"
        )
        #expect(decode(bytes, fieldCount) == .edit(golden))
    }

    @Test func theEndOfEpochsForgetsWhatBeganBehindIt() {
        var state = ManifestState()
        var edit = VersionEdit()
        edit.epochs = [
            EpochStart(epoch: 1, firstLSN: 1), EpochStart(epoch: 2, firstLSN: 90), EpochStart(epoch: 5, firstLSN: 101),
        ]
        state.apply(edit)
        edit = VersionEdit()
        edit.epochsEnd = 100
        edit.epochs = [EpochStart(epoch: 4, firstLSN: 101)]
        let (bytes, fieldCount) = edit.encoded()
        #expect(bytes == [15, 1, 100, 13, 2, 4, 101] && decode(bytes, fieldCount) == .edit(edit))
        #expect(state.contradiction(of: edit) == nil)
        state.apply(edit)
        #expect(state.epochs.map(\.epoch) == [1, 2, 4])
    }

    /// They would be added to, indexed with, or put into keys.
    @Test func numbersThatNoStoreReachesAreMalformed() {
        func isMalformed(_ change: (inout VersionEdit) -> Void) -> Bool {
            var edit = golden
            change(&edit)
            let (bytes, fieldCount) = edit.encoded()
            if case .malformed = decode(bytes, fieldCount) { return true }
            return false
        }
        #expect(!isMalformed { $0.added[0].level = 6 })
        #expect(isMalformed { $0.added[0].level = 7 })
        #expect(isMalformed { $0.removed[0].level = 20 })
        #expect(isMalformed { $0.flushedLSN = .max })
        #expect(isMalformed { $0.added[0].largestLSN = 1 << 60 })
        #expect(isMalformed { $0.added[0].byteCount = .max })
        #expect(isMalformed { $0.nextFile = .max })
        #expect(isMalformed { $0.walLow = .max })
        #expect(isMalformed { $0.epochs[0].firstLSN = .max })
        #expect(isMalformed { $0.durableMark!.segmentID = .max })
        #expect(ManifestFileName.manifestID("MANIFEST-ffffffffffffffff") == nil)
        #expect(ManifestFileName.marker("manifest.ffffffffffffffff.0000000000000001") == nil)
        #expect(ManifestFileName.manifestID("MANIFEST-00000000000000ff") == 255)
    }

    @Test func unknownEvenFieldsAreSteppedOver() {
        let (bytes, fieldCount) = golden.encoded()
        #expect(decode([40, 3, 1, 2, 3] + bytes, fieldCount + 1) == .edit(golden))
    }

    @Test func unknownOddFieldsAreRefused() {
        let (bytes, fieldCount) = golden.encoded()
        #expect(decode(bytes + [41, 0], fieldCount + 1) == .unsupported(tag: 41))
    }

    @Test func aWrongNumberOfFieldsIsMalformed() {
        let (bytes, fieldCount) = golden.encoded()
        for count in [fieldCount - 1, fieldCount + 1] {
            guard case .malformed = decode(bytes, count) else {
                Issue.record("\(count) fields were accepted")
                continue
            }
        }
    }

    @Test func theDecoderIsTotal() {
        let seed = SeededGenerator.seed(default: 3)
        var generator = SeededGenerator(seed: seed)
        let (bytes, fieldCount) = golden.encoded()
        for _ in 0..<20_000 {
            var changed = bytes
            for _ in 0...generator.below(3) {
                switch generator.below(3) {
                case 0: changed[generator.below(changed.count)] ^= UInt8(1 << generator.below(8))
                case 1 where changed.count > 1: changed.removeLast(generator.below(changed.count))
                default: changed.insert(contentsOf: generator.bytes(3), at: generator.below(changed.count))
                }
            }
            if case .edit(let edit) = decode(changed, fieldCount) {
                // Whatever is accepted means the same when it is written again.
                let (again, count) = edit.encoded()
                #expect(decode(again, count) == .edit(edit), "seed \(seed)")
            }
        }
        for length in bytes.indices { #expect(decode(Array(bytes[..<length]), fieldCount) != .edit(golden)) }
    }
}
