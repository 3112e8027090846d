import NexaWire
import Testing

struct OutputBytesTests {
    @Test func patchesTheLengthOfEachFrame() throws {
        let bytes = written { output in
            for index in 0..<3 {
                let mark = output.beginFrame(
                    .success, requestID: UInt32(index), token: PositionToken(epoch: 1, lsn: 9), flags: .slowDown)
                output.writeString(String(repeating: "x", count: index * 100))
                output.endFrame(mark)
            }
        }
        var offset = 0
        for index in 0..<3 {
            let header = try #require(bytes.withUnsafeBytes { FrameHeader(UnsafeRawBufferPointer(rebasing: $0[offset...])) })
            #expect(header.flags == [.requestID, .token, .slowDown])
            #expect(header.type == MessageType.success.rawValue)
            offset += FrameHeader.byteCount + Int(header.payloadByteCount)
            #expect(
                Int(header.payloadByteCount) == 20
                    + MessagePackValue.string(String(repeating: "x", count: index * 100)).encoded().count)
        }
        #expect(offset == bytes.count)
    }

    @Test func consumesFromTheFrontWhileItGrows() {
        let output = OutputBytes(capacity: 64)
        var generator = SeededGenerator(seed: 3)
        var next: UInt8 = 0
        var expected: UInt8 = 0
        for _ in 0..<2000 {
            for _ in 0..<Int.random(in: 0..<200, using: &generator) {
                output.appendU8(next)
                next &+= 1
            }
            let count = Int.random(in: 0...output.byteCount, using: &generator)
            output.withUnsafeBytes { bytes in
                for byte in bytes.prefix(count) {
                    if byte != expected { Issue.record("\(byte) in place of \(expected)") }
                    expected &+= 1
                }
            }
            output.removeFirst(count)
        }
        // What was consumed made room for what followed.
        #expect(output.capacityByteCount < 1 << 20)
    }

    @Test func doesNotGrowOnSteadyTraffic() {
        let output = OutputBytes(capacity: 4096)
        for _ in 0..<10_000 {
            let mark = output.beginFrame(.success)
            output.writeMapHeader(1)
            output.writeString("n")
            output.writeInt(1)
            output.endFrame(mark)
            if output.byteCount > 3000 { output.removeFirst(output.byteCount) }
        }
        #expect(output.capacityByteCount == 4096)
    }

    @Test func takesAFrameBackAsIfItHadNeverBegun() {
        let bytes = written { output in
            let first = output.beginFrame(.pong)
            output.writeNil()
            output.endFrame(first)
            let second = output.beginFrame(.success)
            output.writeString("half a result")
            output.abandonFrame(second)
        }
        #expect(bytes == frame(type: 0x88, [0xC0]))
    }

    @Test func writesErrorsAsCodeSentenceAndDetails() throws {
        let bytes = written { $0.writeErrorFrame(WireError(.badFilter, "No", details: [.init("path", "a.b")]), requestID: 4) }
        #expect(bytes.prefix(12) == frame(type: 0x82, flags: 1, length: bytes.count - 12)[...])
        let payload = try MessagePackValue(decoding: Array(bytes[16...]))
        #expect(payload == ["code": "BAD_FILTER", "error": "No", "path": "a.b"])
    }

    @Test func patchesAnArrayOfUnknownLength() throws {
        let bytes = written { output in
            let offset = output.writeOpenArrayHeader()
            for index in 0..<5 { output.writeInt(index) }
            output.patchArrayHeader(at: offset, count: 5)
        }
        #expect(try MessagePackValue(decoding: bytes) == [0, 1, 2, 3, 4])
    }
}
