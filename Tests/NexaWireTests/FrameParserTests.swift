import NexaWire
import Testing

struct FrameParserTests {
    /// One step over `bytes`, in words that tests can compare.
    enum Outcome: Equatable {
        case needs(Int)
        case frame(type: UInt8, requestID: UInt32?, payload: [UInt8], byteCount: Int)
        case rejected(ErrorCode, requestID: UInt32?, byteCount: Int)
        case failed(ErrorCode)
    }

    func step(_ bytes: [UInt8], _ parser: FrameParser = FrameParser()) -> Outcome {
        bytes.withUnsafeBytes { raw in
            switch parser.step(raw) {
            case .needMoreBytes(let count): .needs(count)
            case .frame(let frame):
                .frame(
                    type: frame.header.type, requestID: frame.requestID, payload: [UInt8](frame.payload),
                    byteCount: frame.byteCount)
            case .rejected(let r): .rejected(r.error.code, requestID: r.requestID, byteCount: r.byteCount)
            case .failed(let error): .failed(error.code)
            }
        }
    }

    @Test func takesOneFrameAndLeavesTheRest() {
        let ping = frame([0x80])
        #expect(step(ping + ping) == .frame(type: 9, requestID: nil, payload: [0x80], byteCount: 13))
    }

    @Test func waitsAtEveryCutAndNeverMisreads() {
        let whole = frame(type: 2, flags: 1, [0, 0, 0, 7, 0x81, 0xA1, 0x61, 0x01])
        for count in 0..<whole.count {
            let expected: Outcome = .needs(count < 12 ? 12 : whole.count)
            #expect(step(Array(whole[..<count])) == expected, "cut at \(count)")
        }
        #expect(step(whole) == .frame(type: 2, requestID: 7, payload: [0x81, 0xA1, 0x61, 0x01], byteCount: 20))
    }

    @Test func findsAThousandFramesInOneRun() {
        var stream: [UInt8] = []
        for index in 0..<1000 { stream += frame(flags: 1, withUnsafeBytes(of: UInt32(index).bigEndian) { Array($0) } + [0x80]) }
        let parser = FrameParser()
        var ids: [UInt32] = []
        stream.withUnsafeBytes { raw in
            var offset = 0
            while offset < raw.count, case .frame(let frame) = parser.step(UnsafeRawBufferPointer(rebasing: raw[offset...])) {
                ids.append(frame.requestID!)
                offset += frame.byteCount
            }
        }
        #expect(ids == Array(0..<1000))
    }

    @Test func acceptsAnEmptyPayload() {
        #expect(step(frame(length: 0)) == .frame(type: 9, requestID: nil, payload: [], byteCount: 12))
    }

    // MARK: The stream is lost

    @Test func failsOnForeignMagicAtTheFirstByteThatDiffers() {
        #expect(step(Array("GET / HTTP/1.1\r\n".utf8)) == .failed(.badFrame))
        #expect(step(Array("G".utf8)) == .failed(.badFrame))
        #expect(step(Array("NEXB".utf8)) == .failed(.badFrame))
        #expect(step([0x16, 0x03, 0x01, 0x02, 0x00]) == .failed(.badFrame))
        #expect(step(Array("NEX".utf8)) == .needs(12))
    }

    @Test(arguments: [UInt8(0), 2, 255])
    func failsOnAnotherVersionAndNamesItsOwn(_ version: UInt8) throws {
        let bytes = frame(version: version, [0x80])
        try bytes.withUnsafeBytes { raw in
            guard case .failed(let error) = FrameParser().step(raw) else {
                Issue.record("accepted")
                return
            }
            #expect(error.code == .badFrame)
            #expect(error.message.contains("version: \(version)"))
            let supported = try #require(error.details.first { $0.key == "supported" })
            #expect(supported.value == [1])
        }
    }

    @Test(arguments: [16 << 20 | 1, 1 << 31, Int(UInt32.max)])
    func failsOnAnAnnouncedLengthAboveTheLimitFromTheHeaderAlone(_ length: Int) {
        #expect(step(frame(length: length)) == .failed(.tooLarge))
    }

    @Test func waitsForAPayloadOfExactlyTheLimit() {
        #expect(step(frame(length: 16 << 20)) == .needs(12 + 16 << 20))
        #expect(step(frame(length: 101), FrameParser(payloadByteCountMax: 100)) == .failed(.tooLarge))
        #expect(step(frame(length: 100), FrameParser(payloadByteCountMax: 100)) == .needs(112))
    }

    @Test func failsWhereThePrefixesDoNotFit() {
        #expect(step(frame(flags: 1, [0, 0, 0])) == .failed(.badFrame))
        #expect(step(frame(flags: 5, [0, 0, 0, 1, 0, 0])) == .failed(.badFrame))
        #expect(step(frame(type: 0x81, flags: 2, [UInt8](repeating: 0, count: 15))) == .failed(.badFrame))
    }

    @Test func failsWhereAShortLengthMakesGarbageOfTheNextHeader() {
        let cut = frame(length: 1, [0x81, 0xA1, 0x61, 0x01])
        #expect(step(cut) == .frame(type: 9, requestID: nil, payload: [0x81], byteCount: 13))
        #expect(step(Array(cut[13...])) == .failed(.badFrame))
    }

    // MARK: The frame is refused, the stream goes on

    @Test(arguments: [UInt16(0x0020), 0x8001, 0x0008, 0x0010])
    func rejectsFlagsThatNobodyAgreedOn(_ flags: UInt16) {
        let bytes = frame(flags: flags, [0, 0, 0, 9, 0x80])
        #expect(step(bytes) == .rejected(.unsupported, requestID: flags & 1 == 1 ? 9 : nil, byteCount: 17))
    }

    @Test func rejectsCompressionUnlessNegotiated() {
        let bytes = frame(flags: 4, [0, 0, 0, 1, 0x10, 0x80])
        #expect(
            step(bytes, FrameParser(acceptedFlags: [.requestID, .token]))
                == .rejected(.unsupported, requestID: nil, byteCount: 18))
    }

    @Test func readsThePositionOfAnAnswerButNotOfARequest() {
        let position = hex("0000000000000003 00000000000001f4")
        frame(type: 0x81, flags: 2, position + [0xC0]).withUnsafeBytes { raw in
            guard case .frame(let answer) = FrameParser().step(raw) else {
                Issue.record("no frame")
                return
            }
            #expect(answer.token == PositionToken(epoch: 3, lsn: 500))
            #expect([UInt8](answer.payload) == [0xC0])
        }
        #expect(step(frame(flags: 2, [0x80])) == .frame(type: 9, requestID: nil, payload: [0x80], byteCount: 13))
    }
}
