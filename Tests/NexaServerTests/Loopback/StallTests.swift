import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// A disk that stands still holds up the writes that need it, and nobody else.
@Suite(.serialized) struct StallTests {
    @Test func fullMemTablesAndAStalledFlushDoNotHoldUpTheOtherConnectionsOfTheLoop() async throws {
        let stall = Stall()
        defer { stall.open() }
        let files = FaultFileSystem(PosixFileSystem()) { operation, path, _ in
            if operation == .write && path.hasSuffix(".sst") { stall.pass() }
        }
        let configure: (inout ServerConfiguration) -> Void = {
            $0.memory = ByteCount(16 << 20)
            $0.loopCount = 1
        }
        try await LoopbackNode.run(configure, fileSystem: files) { port in
            let writer = try RawClient(port: port)
            let other = try RawClient(port: port)
            _ = try writer.call(.create, ["collection": "c", "data": ["_id": "first"]])
            // Memtables take 6 MiB of 16; these are 12.
            let text = MessagePackValue.string(String(repeating: "t", count: 60_000))
            let count = 200
            for number in 0..<count {
                try writer.send(
                    .create, ["collection": "c", "data": ["_id": .string("k\(number)"), "t": text]], requestID: UInt32(number))
            }
            #expect(stall.awaitCall())
            var slowest = Duration.zero
            var pressure = 0.0
            for _ in 0..<200 {
                let start = ContinuousClock.now
                #expect(try other.call(.ping).type == .pong)
                #expect(try other.call(.read, ["collection": "c", "key": "first"]).type == .success)
                slowest = max(slowest, ContinuousClock.now - start)
                pressure = try other.call(.status)["engine"]?["pressure"]?.doubleValue ?? 0
            }
            #expect(pressure == 1)
            #expect(slowest < .seconds(1))
            stall.open()
            var answered: Set<UInt32> = []
            for _ in 0..<count {
                let answer = try #require(try writer.receive())
                #expect(answer.type == .success, "\(answer.value)")
                answered.insert(try #require(answer.requestID))
            }
            #expect(answered.count == count)
            #expect(try other.call(.count, ["collection": "c"])["count"] == .int(Int64(count) + 1))
        }
    }
}
