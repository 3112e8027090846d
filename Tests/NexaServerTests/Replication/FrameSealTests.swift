import NIOCore
import NexaServer
import NexaWire
import Testing

@Suite struct FrameSealTests {
    /// Three frames, sealed, behind what `buffer` holds.
    private func writeFrames(isCompressed: Bool, into buffer: inout ByteBuffer) {
        let output = OutputBytes()
        for text in ["one", String(repeating: "two", count: 400), ""] {
            let mark = output.beginFrame(.replAck)
            output.writeString(text)
            if isCompressed { output.endFrameCompressed(mark) } else { output.endFrame(mark) }
        }
        output.withUnsafeBytes { FrameSeal.write($0, into: &buffer) }
    }

    private let parser = FrameParser(acceptedFlags: [.compressed, .sealed])

    /// The payloads of all frames, inflated; nil when one is not taken.
    private func read(_ buffer: ByteBuffer) -> [[UInt8]]? {
        buffer.withUnsafeReadableBytes { all in
            var payloads: [[UInt8]] = []
            var rest = all
            let inflater = FrameInflater()
            while !rest.isEmpty {
                guard case .frame(let frame) = parser.step(rest), let opened = FrameSeal.open(frame, in: rest),
                    let payload = try? inflater.payload(of: opened)
                else { return nil }
                payloads.append(Array(payload))
                rest = UnsafeRawBufferPointer(rebasing: rest[frame.byteCount...])
            }
            return payloads
        }
    }

    @Test(arguments: [false, true]) func sealedFramesAreReadAsTheyWere(isCompressed: Bool) throws {
        var buffer = ByteBuffer(string: "in front")
        buffer.moveReaderIndex(to: 8)
        writeFrames(isCompressed: isCompressed, into: &buffer)
        let payloads = try #require(read(buffer))
        #expect(payloads.map(\.count) == [4, 1_203, 1])
        #expect(payloads[1].dropFirst(3).starts(with: Array("twotwo".utf8)))
    }

    @Test func noFlippedBitIsTaken() {
        var buffer = ByteBuffer()
        writeFrames(isCompressed: false, into: &buffer)
        let whole = read(buffer)
        #expect(whole != nil)
        var taken = 0
        for index in 0..<buffer.readableBytes {
            for bit in 0..<8 {
                var damaged = buffer
                damaged.setInteger(damaged.getInteger(at: index, as: UInt8.self)! ^ 1 << UInt8(bit), at: index)
                if read(damaged) != nil { taken += 1 }
            }
        }
        #expect(taken == 0)
    }

    @Test func aFrameWithoutASealIsNotTaken() {
        let output = OutputBytes()
        let mark = output.beginFrame(.replAck)
        output.writeString("twelve bytes and more")
        output.endFrame(mark)
        #expect(read(ByteBuffer(bytes: output.withUnsafeBytes { Array($0) })) == nil)
    }
}
