import NexaReplication
import NexaServer
import Testing

@Suite struct PieceQueueTests {
    private func get(_ offset: UInt64) -> SnapshotGet { SnapshotGet(id: 1, file: 0, offset: offset, byteCount: 1 << 20) }

    @Test func piecesAreReadOneAfterTheOtherInTheirOrder() {
        var queue = PieceQueue()
        #expect(queue.next() == nil)
        for offset in 0..<3 as Range<UInt64> { #expect(queue.ask(get(offset)) == true) }
        #expect(queue.next() == get(0))
        #expect(queue.next() == nil)
        queue.wasRead(byteCount: 10)
        #expect(queue.next() == get(1))
    }

    @Test func nothingIsReadWhileEnoughIsOnItsWay() {
        var queue = PieceQueue()
        for offset in 0..<3 as Range<UInt64> { #expect(queue.ask(get(offset)) == true) }
        for _ in 0..<2 {
            #expect(queue.next() != nil)
            queue.wasRead(byteCount: PieceQueue.onTheWayByteCountMax / 2)
        }
        #expect(queue.next() == nil)
        queue.wasTaken(byteCount: PieceQueue.onTheWayByteCountMax / 2)
        #expect(queue.next() == get(2))
    }

    @Test func noMoreIsAskedForThanMayBe() {
        var queue = PieceQueue()
        for offset in 0..<UInt64(SnapshotGet.outstandingMax) { #expect(queue.ask(get(offset)) == true) }
        #expect(queue.ask(get(99)) == false)
        // Neither being read nor being on its way is an end.
        #expect(queue.next() != nil)
        #expect(queue.ask(get(99)) == false)
        queue.wasRead(byteCount: 5)
        #expect(queue.ask(get(99)) == false)
        queue.wasTaken(byteCount: 5)
        #expect(queue.ask(get(99)) == true)
        #expect(queue.ask(get(100)) == false)
    }
}
