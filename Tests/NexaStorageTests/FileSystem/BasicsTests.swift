import NexaStorage
import NexaTestKit
import Synchronization
import Testing

@Suite struct BasicsTests {
    @Test func varintsComeBackAndHaveOneForm() {
        var generator = SeededGenerator(seed: 1)
        var values: [UInt64] = [0, 1, 127, 128, 16383, 16384, .max, .max - 1, 1 << 63]
        for shift: UInt64 in 0..<64 { values.append(generator.next() >> shift) }
        for value in values {
            var bytes = [UInt8](repeating: 0, count: Varint.byteCountMax)
            let count = bytes.withUnsafeMutableBytes { Varint.encode(value, to: $0.baseAddress!) }
            #expect(count == Varint.byteCount(value))
            var appended: [UInt8] = []
            Varint.append(value, to: &appended)
            #expect(Array(bytes[..<count]) == appended)
            appended.withUnsafeBytes { raw in
                var position = 0
                #expect(Varint.decode(raw, at: &position) == value && position == count)
                for cut in 0..<count {
                    var start = 0
                    #expect(Varint.decode(UnsafeRawBufferPointer(rebasing: raw[..<cut]), at: &start) == nil && start == 0)
                }
            }
        }
    }

    @Test(
        arguments: [
            [0x80, 0x00], [0xFF, 0x80, 0x00], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
            [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ] as [[UInt8]]) func longOrTooLargeVarintsAreRefused(_ bytes: [UInt8])
    {
        bytes.withUnsafeBytes { raw in
            var position = 0
            #expect(Varint.decode(raw, at: &position) == nil && position == 0)
        }
    }

    @Test func positionsCompareByEpochFirst() {
        #expect(LogPosition(epoch: 1, lsn: 99) < LogPosition(epoch: 2, lsn: 1))
        #expect(LogPosition(epoch: 2, lsn: 1) < LogPosition(epoch: 2, lsn: 2))
    }

    @Test func aConditionHandsOverBetweenThreads() {
        let condition = NexaCondition()
        let turn = Atomic(0)
        let thread = NexaThread(name: "nexa-test") {
            for round in 0..<200 {
                condition.withLock {
                    while turn.load(ordering: .relaxed) != 2 * round + 1 { condition.wait() }
                    turn.store(2 * round + 2, ordering: .relaxed)
                    condition.broadcast()
                }
            }
        }
        for round in 0..<200 {
            condition.withLock {
                turn.store(2 * round + 1, ordering: .relaxed)
                condition.broadcast()
                while turn.load(ordering: .relaxed) != 2 * round + 2 { condition.wait() }
            }
        }
        thread.join()
        #expect(turn.load(ordering: .relaxed) == 400)
        #expect(condition.withLock { condition.wait(nanoseconds: 1_000_000) } == false)
    }

    @Test func errorsSayWhatAPersonNeeds() {
        #expect(
            StorageError.io(operation: "pwrite", path: "/d/x", errno: 28).description
                == "pwrite /d/x: No space left on device (errno 28)")
        #expect(StorageError.locked(path: "/d/LOCK", holder: 42).description == "/d/LOCK is in use by process 42")
        let corruption = Corruption(file: "/d/1.wal", offset: 4096, lsn: 7, reason: "it is cut", remedy: "Restore a backup.")
        #expect(
            StorageError.corruption(corruption).description
                == "/d/1.wal is damaged at offset 4096 after LSN 7: it is cut. Restore a backup.")
    }
}
