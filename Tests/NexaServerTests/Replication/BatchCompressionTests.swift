import NexaReplication
import NexaServer
import NexaTestKit
import NexaWire
import Testing

struct BatchCompressionTests {
    private static let header = BatchHeader(
        stamp: FrameStamp(epoch: 3, committed: 40, end: 50, sentAt: 7), recordEpoch: 3, first: 41, last: 44, previousChain: 99)

    private func frame(_ records: [UInt8], isCompressed: Bool) -> [UInt8] {
        let output = OutputBytes(capacity: 1024)
        let count = records.withUnsafeBytes {
            output.writeBatchFrame(Self.header, records: $0, isCompressed: isCompressed)
        }
        #expect(count == output.byteCount)
        return [UInt8](output.bytes)
    }

    private func payload(_ bytes: [UInt8]) throws -> (header: BatchHeader, records: [UInt8]) {
        let inflater = FrameInflater()
        return try bytes.withUnsafeBytes { raw in
            guard case .frame(let frame) = FrameParser(acceptedFlags: .compressed).step(raw) else {
                throw WireError(.badFrame, "no frame")
            }
            let (header, records) = try BatchHeader.decode(try inflater.payload(of: frame))
            return (header, [UInt8](records))
        }
    }

    @Test func recordsComeOutAsTheyWentIn() throws {
        var generator = SeededGenerator(seed: 4)
        for count in [0, 1, 100, 511, 512, 4_096, 300_000] {
            let repeating = (0..<count).map { UInt8(truncatingIfNeeded: $0 % 50) }
            let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            for records in [repeating, noise] {
                for isCompressed in [true, false] {
                    let (header, back) = try payload(frame(records, isCompressed: isCompressed))
                    #expect(header == Self.header)
                    #expect(back == records)
                }
            }
        }
    }

    @Test func onlyWhatShrinksIsCompressed() {
        var generator = SeededGenerator(seed: 5)
        let small = [UInt8](repeating: 1, count: 200)
        let large = [UInt8](repeating: 1, count: 20_000)
        let noise = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(frame(small, isCompressed: true) == frame(small, isCompressed: false))
        #expect(frame(noise, isCompressed: true) == frame(noise, isCompressed: false))
        #expect(frame(large, isCompressed: true).count < 500)
    }

    @Test func autoLeavesLoopbackAlone() {
        for address in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            #expect(!ReplicationCompression.auto.applies(to: address))
            #expect(ReplicationCompression.on.applies(to: address))
        }
        for address in ["10.0.0.7", "fe80::1", nil] {
            #expect(ReplicationCompression.auto.applies(to: address))
            #expect(!ReplicationCompression.off.applies(to: address))
        }
    }
}
