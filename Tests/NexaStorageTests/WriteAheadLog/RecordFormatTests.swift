import NexaStorage
import NexaTestKit
import Testing

/// The bytes themselves: golden vectors from docs/formats/wal.md, and a decoder that is total.
@Suite struct RecordFormatTests {
    /// The record of the golden vector: segment 7, offset 4096, LSN 100, epoch 3, durable LSN 99, "hello".
    private func goldenRecord() throws -> [UInt8] { Array(try goldenSegment()[4096..<4160]) }

    /// That record and a MARK behind it.
    private func goldenSegment() throws -> [UInt8] {
        let disk = try LogFixture.emptyDisk()
        let fixture = LogFixture(fileSystem: disk)
        let writer = try LogWriter.start(
            after: LogEnd(segmentID: 6, offset: 8192, lsn: 99, chain: 0x1122_3344_5566_7788, epoch: 3), segmentID: 7,
            storeUUID: LogFixture.uuid, segments: fixture.segments())
        try writer.append([Array("hello".utf8)], epoch: 3)
        try writer.sync()
        try writer.writeMark(durable: 100)
        return try disk.contents(LogFixture.path(7))
    }

    private func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    @Test func aSealedRecordHasTheGoldenBytes() throws {
        #expect(
            hex(try goldenRecord())
                == "7349f6aefc4af8576300000000000000bdaec342bfa3831f64000000000000000300000000000000"
                + "0500000005000000010000000100000068656c6c6f000000")
    }

    @Test func aMarkHasTheGoldenBytes() throws {
        #expect(
            hex(try goldenSegment()[4160..<4232])
                == "64904ece1eecde7964000000000000006fc6979065fe6fc264000000000000000300000000000000"
                + "10000000100000000000000004000000a3b4df640f367fcc0000000000000000")
    }

    @Test func anEpochStartTravelsWithTheGoldenBytes() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        for epoch: Epoch in 2...3 { try engine.beginEpoch(epoch) }
        for index in 3...100 { try engine.writeDurably { $0.put("key\(index)", "v") } }
        try engine.beginEpoch(4, nodeID: Array("n1".utf8))
        let (bytes, _) = try #require(try engine.tail(from: 101).shipment(upTo: 101))
        #expect(
            hex(bytes)
                == "c91664acda83a6f66500000000000000040000000000000012000000120000000000000003000000"
                + "030000000000000064000000000000006e31")
        try engine.close()
    }

    @Test func aSegmentHeaderHasTheGoldenBytes() {
        let header = LogFileHeader(kind: .segment, fileID: 7, firstLSN: 100, storeUUID: LogFixture.uuid)
        let block = header.encodedBlock()
        #expect(block.count == LogFileHeader.blockByteCount)
        #expect(hex(block[..<16]) == "4e5857414c0d0a1a0100010080000000")
        #expect(hex(block[120..<128]) == "8fe9224f9783fed3")
        #expect(block[128...].allSatisfy { $0 == 0 })
        #expect(block.withUnsafeBytes { LogFileHeader.decode($0, kind: .segment, fileID: 7) } == .header(header))
    }

    @Test func headersOfAnotherFileKindOrFutureAreTold() {
        var block = LogFileHeader(kind: .segment, fileID: 7, firstLSN: 1, storeUUID: LogFixture.uuid).encodedBlock()
        #expect(block.withUnsafeBytes { LogFileHeader.decode($0, kind: .segment, fileID: 8) }.isInvalid)
        #expect(block.withUnsafeBytes { LogFileHeader.decode($0, kind: .manifest, fileID: 7) }.isInvalid)
        for index in 0..<LogFileHeader.byteCount {
            block[index] ^= 0x10
            #expect(block.withUnsafeBytes { LogFileHeader.decode($0, kind: .segment, fileID: 7) }.isInvalid, "byte \(index)")
            block[index] ^= 0x10
        }
    }

    @Test func everyChangedByteOfARecordIsNoticed() throws {
        let golden = try goldenRecord()
        #expect(golden.withUnsafeBytes { LogRecordDecoder.decode($0, fileID: 7, offset: 4096) }.header?.lsn == 100)
        for index in golden.indices {
            for mask: UInt8 in [0x01, 0x80, 0xFF] {
                var changed = golden
                changed[index] ^= mask
                let decoded = changed.withUnsafeBytes { LogRecordDecoder.decode($0, fileID: 7, offset: 4096) }
                #expect(decoded.header == nil, "byte \(index) mask \(mask)")
            }
        }
    }

    @Test func aGoodRecordInTheWrongPlaceIsNotARecord() throws {
        let golden = try goldenRecord()
        golden.withUnsafeBytes { bytes in
            #expect(LogRecordDecoder.decode(bytes, fileID: 8, offset: 4096) == .fault(.headerChecksum, header: nil))
            #expect(LogRecordDecoder.decode(bytes, fileID: 7, offset: 4104) == .fault(.headerChecksum, header: nil))
        }
    }

    @Test func everyCutOfARecordAsksForTheRest() throws {
        let golden = try goldenRecord()
        for count in 0..<golden.count {
            let decoded = golden[..<count].withUnsafeBytes { LogRecordDecoder.decode($0, fileID: 7, offset: 4096) }
            if count < RecordHeader.byteCount {
                #expect(decoded == .fault(.truncated, header: nil))
            } else if case .needsBytes(let header, let needed) = decoded {
                #expect(needed == golden.count && header.lsn == 100)
            } else {
                Issue.record("\(count) bytes decode as \(decoded)")
            }
        }
    }

    @Test func theDecoderIsTotal() {
        let seed = SeededGenerator.seed(default: 20_261_122)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            var bytes = generator.bytes(generator.below(200))
            // Lengths near the limits reach further than noise does.
            if bytes.count >= 56, generator.chance(0.5) {
                bytes.replaceSubrange(40..<44, with: [0xFF, 0xFF, 0xFF, UInt8(generator.below(5))])
            }
            let decoded = bytes.withUnsafeBytes { LogRecordDecoder.decode($0, fileID: 1, offset: 4096) }
            #expect(decoded.header == nil, "seed \(seed)")
            _ = bytes.withUnsafeBytes { LogFileHeader.decode($0, kind: .segment, fileID: 1) }
        }
    }

    @Test func theTravellingPartIsIndependentOfPlace() throws {
        let golden = try goldenRecord()
        let unsealed = LogFixture.record(100, Array("hello".utf8), epoch: 3)
        #expect(golden[RecordHeader.portableOffset...] == unsealed[RecordHeader.portableOffset...])
    }
}

extension LogFileHeader.Decoded {
    var isInvalid: Bool {
        if case .invalid = self { return true }
        return false
    }
}

extension DecodedRecord {
    /// Of a whole record.
    var header: RecordHeader? {
        if case .record(let header) = self { return header }
        return nil
    }
}
