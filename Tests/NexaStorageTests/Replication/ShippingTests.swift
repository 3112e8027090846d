// Reading the log for followers: how records are packed, and what it costs.

import NexaStorage
import NexaTestKit
import Testing

@Suite struct ShippingTests {
    @Test func packsWholeRecordsAndSaysWhereTheyBelong() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        for index in 0..<100 { try engine.writeDurably { $0.put("key\(index)", String(repeating: "v", count: index)) } }
        let tail = engine.tail(from: 11)
        var next: LSN = 11
        while let (bytes, shipment) = try tail.shipment(upTo: 100, byteCountMax: 700) {
            #expect(shipment.firstLSN == next && shipment.byteCount == bytes.count && bytes.count <= 700)
            let (before, after) = (try engine.chain(at: next - 1), try engine.chain(at: shipment.lastLSN))
            #expect(shipment.previousChain == before && shipment.chain == after && shipment.epoch == 1)
            var found: [LSN] = []
            try withBytes(bytes) { bytes throws(ReplicationFault) in
                var cursor = ReplicatedRecordCursor(bytes)
                while let record = try cursor.next() { found.append(record.header.lsn) }
            }
            #expect(found == Array(shipment.firstLSN...shipment.lastLSN) && shipment.recordCount == found.count)
            next = shipment.lastLSN + 1
        }
        #expect(next == 101)
        try engine.close()
    }

    @Test func aRecordLargerThanTheBufferAsksForRoom() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        var generator = SeededGenerator(seed: 5)
        let value = generator.bytes(100_000)
        try engine.writeDurably { $0.put(Array("a".utf8), value) }
        var buffer = [UInt8](repeating: 0, count: 1000)
        let tail = engine.tail(from: 1)
        let filling = try buffer.withUnsafeMutableBytes { try tail.fill($0, upTo: 1) }
        guard case .needsRoom(let byteCount) = filling else {
            Issue.record("\(filling)")
            return
        }
        #expect(byteCount > 100_000 && tail.nextLSN == 1)
        buffer = [UInt8](repeating: 0, count: byteCount)
        guard case .records(let shipment) = try buffer.withUnsafeMutableBytes({ try tail.fill($0, upTo: 1) }) else {
            Issue.record("the record did not fit")
            return
        }
        #expect(shipment.lastLSN == 1 && shipment.byteCount == byteCount)
        #expect(try buffer.withUnsafeMutableBytes { try tail.fill($0, upTo: 1) } == .caughtUp)
        try engine.close()
    }

    @Test func aGivenUpRecordIsGone() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        for index in 0..<4000 { try engine.write { $0.put("key\(index)", String(repeating: "v", count: 200)) } }
        try engine.flush()
        let oldest = try #require(engine.oldestLogLSN)
        var buffer = [UInt8](repeating: 0, count: 1000)
        let filling = try buffer.withUnsafeMutableBytes { try engine.tail(from: 1).fill($0, upTo: engine.durableLSN) }
        #expect(filling == .gone(oldest: oldest))
        try engine.close()
    }

    @Test func followingTheEndCostsOneReadAGroupAndBeginningInTheMiddleFew() throws {
        let files = FaultFileSystem(CrashFileSystem())
        var options = smallOptions()
        options.segmentByteCount = 16 << 20
        let engine = try Engine.open(directory: "/db", fileSystem: files, options: options)
        let tail = engine.tail(from: 1)
        try engine.writeDurably { $0.put("first", "v") }
        _ = try tail.shipment(upTo: 1)
        let before = files.count(of: .read)
        for group in 0..<50 {
            for index in 0..<100 { try engine.write { $0.put("key\(group).\(index)", "v") } }
            try engine.waitDurable(engine.reservedLSN)
            let shipment = try #require(try tail.shipment(upTo: engine.durableLSN)).1
            #expect(shipment.recordCount == 100)
            #expect(try tail.shipment(upTo: engine.durableLSN) == nil)
        }
        #expect(files.count(of: .read) - before == 50, "one read for each group, none for a look that finds nothing")
        // 5,000 records of some 80 bytes in one segment; a mark stands at 4,096.
        let middle = files.count(of: .read)
        #expect(try engine.tail(from: 4100).shipment(upTo: 4100)?.1.firstLSN == 4100)
        #expect(files.count(of: .read) - middle == 1)
        try engine.close()
    }
}
