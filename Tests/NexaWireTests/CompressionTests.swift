import NexaWire
import Testing

/// COMPRESSED payloads: what is declared, what is there and what comes out must agree (MongoBleed was a server that believed the claim).
struct CompressionTests {
    let text = String(repeating: "the same words again and again, ", count: 200)

    func compressedFrame() -> [UInt8] {
        written { output in
            let mark = output.beginFrame(.create, requestID: 5)
            output.writeString(text)
            output.endFrameCompressed(mark)
        }
    }

    /// The inflated payload, or the code of the refusal.
    func inflate(_ bytes: [UInt8], limit: Int = 16 << 20) -> Result<[UInt8], WireError> {
        let inflater = FrameInflater()
        return bytes.withUnsafeBytes { raw in
            switch FrameParser(payloadByteCountMax: limit).step(raw) {
            case .frame(let frame): Result { () throws(WireError) in try inflater.payload(of: frame) }.map { [UInt8]($0) }
            case .failed(let error): .failure(error)
            default: .failure(WireError(.internal, "unexpected step"))
            }
        }
    }

    func code(_ bytes: [UInt8], limit: Int = 16 << 20) -> ErrorCode? {
        if case .failure(let error) = inflate(bytes, limit: limit) { error.code } else { nil }
    }

    @Test func bringsThePayloadBack() throws {
        let bytes = compressedFrame()
        #expect(bytes.count < text.utf8.count / 4)
        let header = try #require(bytes.withUnsafeBytes { FrameHeader($0) })
        #expect(header.flags == [.requestID, .compressed])
        #expect(Int(header.payloadByteCount) == bytes.count - FrameHeader.byteCount)
        #expect(try MessagePackValue(decoding: inflate(bytes).get()) == .string(text))
    }

    @Test func leavesSmallAndRandomPayloadsAsTheyAre() {
        var generator = SeededGenerator(seed: 1)
        let noise = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for payload in [MessagePackValue.string("short"), .binary(noise)] {
            let bytes = written { output in
                let mark = output.beginFrame(.create)
                payload.encode(into: output)
                output.endFrameCompressed(mark)
            }
            #expect(bytes == frame(type: 2, payload.encoded()))
        }
    }

    @Test func refusesADeclaredSizeThatIsNotWhatComesOut() {
        let good = compressedFrame()
        for declared in [0, 1, text.utf8.count + 2, text.utf8.count + 4, 1 << 24, Int(UInt32.max)] {
            var bytes = good
            withUnsafeBytes(of: UInt32(declared).bigEndian) { bytes.replaceSubrange(16..<20, with: $0) }
            #expect(code(bytes) != nil, "declared \(declared)")
        }
    }

    @Test func refusesAClaimAboveTheFrameLimitOrBeyondWhatLZ4CanExpand() {
        #expect(code(frame(type: 2, flags: 4, hex("0100 0001 10 80"))) == .tooLarge)
        #expect(code(frame(type: 2, flags: 4, hex("0000 1000 10 80"))) == .badFrame)
        #expect(code(compressedFrame(), limit: 1000) == .tooLarge)
    }

    @Test func refusesEveryCutOfTheBlock() {
        let good = compressedFrame()
        for count in 20..<good.count {
            var bytes = Array(good[..<count])
            withUnsafeBytes(of: UInt32(count - 12).bigEndian) { bytes.replaceSubrange(8..<12, with: $0) }
            #expect(code(bytes) == .badFrame, "cut at \(count)")
        }
    }
}
