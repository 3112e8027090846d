// Writers that find no room: who waits, who is told, and that nothing is applied in between.

import NexaStorage
import NexaTestKit
import Testing

@Suite struct EngineStallTests {
    @Test func aWriterThatMustNotBlockIsToldInsteadOfWaitingForAFlush() throws {
        let stall = Stall()
        defer { stall.open() }
        let files = FaultFileSystem(CrashFileSystem()) { operation, path, _ in
            if operation == .write && path.hasSuffix(".sst") { stall.pass() }
        }
        var options = smallOptions()
        options.backgroundWork = .threads
        let engine = try Engine.open(directory: "/db", fileSystem: files, options: options)
        let value = [UInt8](repeating: 7, count: 4_000)
        let batch = WriteBatch()
        var written = 0
        var refusal: StorageError?
        var refusedAfter = Duration.zero
        while refusal == nil && written < 10_000 {
            batch.removeAll()
            batch.put(Array("key\(written)".utf8), value)
            let start = ContinuousClock.now
            do throws(StorageError) {
                _ = try engine.commit(batch, durability: .os, mayBlock: false)
                written += 1
            } catch {
                refusal = error
                refusedAfter = ContinuousClock.now - start
            }
        }
        #expect(refusal == .wouldBlock)
        // Whoever waits, waits until the stall is over, which is below.
        #expect(refusedAfter < .seconds(5))
        // Eight memtables of 64 KiB are there; the one that is refused left no trace.
        #expect(written > 50 && engine.appliedLSN == LSN(written))
        stall.open()
        _ = try engine.commit(batch, durability: .os)
        #expect(engine.appliedLSN == LSN(written) + 1)
        try engine.waitDurable(engine.appliedLSN)
        let count = try engine.contents().count
        #expect(count == written + 1)
        try engine.close()
    }

    @Test func aLatchThatIsHeldForLongIsNotWaitedFor() {
        let latches = KeyLatches()
        let entered = Stall()
        let leave = Stall()
        let holder = NexaThread(name: "holder") {
            latches.withLatch(5) {
                entered.open()
                leave.pass()
            }
        }
        entered.pass()
        let refused: Bool? = latches.withLatchesIfSoon([KeyLatches.stripe(of: 4), KeyLatches.stripe(of: 5)]) { true }
        #expect(refused == nil)
        let refusedAlone: Bool? = latches.withLatchIfSoon(5) { true }
        #expect(refusedAlone == nil)
        // What was taken before the held one is free again.
        let other: Bool? = latches.withLatchesIfSoon([KeyLatches.stripe(of: 4)]) { true }
        #expect(other == true)
        leave.open()
        holder.join()
        let free: Bool? = latches.withLatchesIfSoon([KeyLatches.stripe(of: 5)]) { true }
        #expect(free == true)
        let freeAlone: Bool? = latches.withLatchIfSoon(5) { true }
        #expect(freeAlone == true)
    }
}
