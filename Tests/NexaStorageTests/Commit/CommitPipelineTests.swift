// The parts of the commit pipeline, and the pipeline under many threads.

import NexaStorage
import NexaTestKit
import Synchronization
import Testing

@Suite struct CommitPipelineTests {
    @Test func batchCursorReadsBackWhatABatchHolds() throws {
        let batch = WriteBatch()
        batch.put("a", "1")
        batch.delete("b")
        batch.deleteRange("c", "d")
        batch.put("", "")
        var cursor = BatchCursor(batch.bytes)
        var found: [String] = []
        while let operation = try cursor.next() {
            found.append(
                "\(operation.kind) \(String(decoding: operation.key, as: UTF8.self)) \(String(decoding: operation.value, as: UTF8.self))"
            )
        }
        #expect(found == ["put a 1", "delete b ", "rangeDelete c d", "put  "])
        #expect(batch.count == 4)
        batch.removeAll()
        #expect(batch.count == 0 && batch.byteCount == 0)
    }

    @Test func notesAreReadWithTheOperationBehindThemAndCountForNothing() throws {
        let batch = WriteBatch()
        batch.put("a", "1")
        withBytes("noted") { batch.note($0) }
        batch.put("b", "2")
        withBytes("") { batch.note($0) }
        batch.delete("c")
        #expect(batch.count == 3)
        var cursor = BatchCursor(batch.bytes)
        var found: [String] = []
        while let operation = try cursor.next() {
            found.append("\(operation.kind) \(String(decoding: operation.note, as: UTF8.self))")
        }
        #expect(found == ["put ", "put noted", "delete "])
        #expect(cursor.isAtEnd)

        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        try engine.waitDurable(try engine.commit(batch, durability: .disk))
        #expect(try engine.contents().map { String(decoding: $0.key + $0.value, as: UTF8.self) } == ["a1", "b2"])
        try engine.close()
    }

    @Test func aNoteWithoutItsOperationIsNoBatch() {
        let noted = WriteBatch()
        withBytes("n") { noted.note($0) }
        let note = Array(noted.bytes)
        noted.put("k", "v")
        for bytes in [note, note + note, note + Array(noted.bytes), [4], [4, 9]] as [[UInt8]] {
            let failed = withBytes(bytes) { bytes in
                var cursor = BatchCursor(bytes)
                do { while try cursor.next() != nil {} } catch { return true }
                return false
            }
            #expect(failed, "\(bytes)")
        }
    }

    @Test func batchCursorRefusesEveryCut() {
        let batch = WriteBatch()
        batch.put("key", "value")
        batch.deleteRange("c", "d")
        let bytes = Array(batch.bytes)
        for count in 1..<bytes.count where count != 11 {
            var cursorFailed = false
            withBytes(Array(bytes[..<count])) { bytes in
                var cursor = BatchCursor(bytes)
                do { while try cursor.next() != nil {} } catch { cursorFailed = true }
            }
            #expect(cursorFailed, "cut at \(count)")
        }
    }

    @Test func aBatchLargerThanTheLogBufferAndTheMemTableIsOneBatch() throws {
        let disk = CrashFileSystem()
        var engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        try engine.writeDurably { $0.put("first", "1") }
        var generator = SeededGenerator(seed: 5)
        try engine.writeDurably { batch in
            for index in 0..<4000 { batch.put(Array("big\(index)".utf8), generator.bytes(100)) }
        }
        try engine.writeDurably { $0.put("last", "2") }
        #expect(engine.durableLSN == 3)
        let before = try engine.contents()
        #expect(before.count == 4002)
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        let after = try engine.contents()
        #expect(after.map(\.value) == before.map(\.value))
        try engine.close()
    }

    @Test func refusesABatchBeyondTheLimit() throws {
        var options = smallOptions()
        options.batchByteCountMax = 1000
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: options)
        var refused: StorageError?
        do throws(StorageError) {
            try engine.write { $0.put(Array("k".utf8), [UInt8](repeating: 0, count: 1000)) }
        } catch { refused = error }
        #expect(refused == .tooLarge(what: "batch", byteCount: 1005, limit: 1000))
        #expect(engine.appliedLSN == 0)
        try engine.close()
    }

    @Test func observersAreCalledOncePerGroup() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        let calls = Mutex<[LSN]>([])
        let token = engine.addDurabilityObserver { lsn, _ in calls.withLock { $0.append(lsn) } }
        for index in 0..<10 { try engine.write { $0.put("\(index)", "") } }
        engine.flushLogInline()
        try engine.write { $0.put("x", "") }
        engine.flushLogInline()
        engine.removeDurabilityObserver(token)
        try engine.writeDurably { $0.put("y", "") }
        #expect(calls.withLock { $0 } == [10, 11])
        #expect(engine.metrics().logSyncCount == 3)
        try engine.close()
    }

    /// Threads with their own keys and one shared counter under a latch: all commits survive, in order a thread, and no
    /// increment is lost.
    @Test func manyThreadsCommitReadFlushAndCompactAtOnce() throws {
        var options = smallOptions()
        options.backgroundWork = .threads
        let disk = CrashFileSystem()
        var engine = try Engine.open(directory: "/db", fileSystem: disk, options: options)
        let threadCount = 6
        let rounds = 400
        let failures = Mutex<[String]>([])
        let shared = engine
        let threads = (0..<threadCount).map { thread in
            NexaThread(name: "writer-\(thread)") {
                do { try writeAndRead(shared, thread: thread, rounds: rounds) } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 } == [])
        try engine.waitDurable(engine.appliedLSN)
        let last = engine.appliedLSN
        #expect(last == LSN(2 * threadCount * rounds))
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: options)
        let counter = try engine.text("counter")
        #expect(counter == "\(threadCount * rounds)")
        for thread in 0..<threadCount {
            let value = try engine.text("thread\(thread)/7")
            #expect(value?.hasPrefix("\(rounds - 1 - (rounds - 1 - 7) % 50) ") == true)
        }
        try engine.verify()
        try engine.close()
    }
}

private func writeAndRead(_ engine: Engine, thread: Int, rounds: Int) throws {
    let reader = engine.makeReader()
    let batch = WriteBatch()
    var lastSeen = 0
    for round in 0..<rounds {
        batch.removeAll()
        batch.put("thread\(thread)/\(round % 50)", "\(round) " + String(repeating: "x", count: 200))
        let own = try engine.commit(batch, durability: round % 3 == 0 ? .disk : .os)

        try engine.latches.withLatch(7) {
            let old = try withBytes("counter") {
                try reader.get($0, at: .max).flatMap { Int(String(decoding: $0.bytes, as: UTF8.self)) }
            }
            batch.removeAll()
            batch.put("counter", "\((old ?? 0) + 1)")
            _ = try engine.commit(batch, durability: .disk)
        }
        if round % 7 == 0 { engine.flushLogInline() }
        if round % 50 == 0 { try engine.waitDurable(own) }

        // What is visible never goes back, and one's own write is there at its LSN.
        let seen = try withBytes("counter") {
            try reader.get($0, at: engine.visibleLSN).flatMap { Int(String(decoding: $0.bytes, as: UTF8.self)) } ?? 0
        }
        guard seen >= lastSeen else { throw StressFailure(what: "the counter went from \(lastSeen) to \(seen)") }
        lastSeen = seen
        let found = try withBytes("thread\(thread)/\(round % 50)") { try reader.get($0, at: max(own, engine.visibleLSN))?.lsn }
        guard found == own else { throw StressFailure(what: "own write \(own) is \(String(describing: found))") }
    }
}

private struct StressFailure: Error {
    let what: String
}
