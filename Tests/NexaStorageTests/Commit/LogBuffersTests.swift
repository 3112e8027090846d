import NexaStorage
import Testing

/// Buffers with a committer and a log role that take turns.
private struct Turns {
    var buffers = LogBuffers(byteCount: 1_000)
    var lsn: LSN = 0

    /// A record in; false when there is no room.
    mutating func add(_ byteCount: Int) -> Bool {
        guard buffers.prepare(byteCount) else { return false }
        lsn += 1
        _ = buffers.reserve(byteCount, lsn: lsn, needsSync: true)
        return true
    }

    /// The log role takes what it gets and gives it back.
    mutating func write() {
        var taken: [LogBuffer] = []
        buffers.take(into: &taken)
        for buffer in taken { buffers.recycle(buffer) }
    }
}

@Suite struct LogBuffersTests {
    /// How many records of 900 bytes, each written before the next, find room; 20 at most.
    private func roundsWithRoom(_ turns: inout Turns) -> Int {
        for round in 0..<20 {
            guard turns.add(900) else { return round }
            turns.write()
        }
        return 20
    }

    @Test func thereIsRoomAgainAfterALargeRecord() {
        var turns = Turns()
        for byteCount in [900, 5_000, 5_000, 900, 5_000] {
            let hasRoom = turns.add(byteCount)
            #expect(hasRoom)
            turns.write()
        }
        let rounds = roundsWithRoom(&turns)
        #expect(rounds == 20)
    }

    @Test func aLargeRecordThatWaitsForOtherRoomTakesNoBufferAway() {
        var turns = Turns()
        _ = turns.add(100)
        // A buffer of its own is there, but the memtable has no room yet; meanwhile the log is written.
        let hasBuffer = turns.buffers.prepare(5_000)
        #expect(hasBuffer)
        turns.write()
        let hasRoom = turns.add(5_000)
        #expect(hasRoom)
        turns.write()
        let rounds = roundsWithRoom(&turns)
        #expect(rounds == 20)
    }
}
