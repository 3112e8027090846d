import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// A disk that stands still holds up the writes that need it, and nobody else.
@Suite(.serialized) struct StallTests {
    @Test func fullMemTablesAndAStalledFlushDoNotHoldUpTheOtherConnectionsOfTheLoop() async throws {
        let stall = Stall()
        let files = FaultFileSystem(PosixFileSystem()) { operation, path, _ in
            if operation == .write && path.hasSuffix(".sst") { stall.pass() }
        }
        let configure: (inout ServerConfiguration) -> Void = {
            $0.memory = ByteCount(16 << 20)
            $0.loopCount = 1
        }
        try await LoopbackNode.run(configure, fileSystem: files) { port in
            // Before the node stops, which waits for its flush.
            defer { stall.open() }
            let writer = try RawClient(port: port)
            let other = try RawClient(port: port)
            _ = try writer.call(.create, ["collection": "c", "data": ["_id": "first"]])
            // Memtables take 6 MiB of 16; these are 12. The answers are ids: those of whole documents would
            // fill the output, and the node would stop reading. A thread of their own sends them, whatever the sockets hold.
            let text = MessagePackValue.string(String(repeating: "t", count: 60_000))
            let count = 200
            writer.setTimeout(seconds: 60)
            let sender = NexaThread(name: "sender") {
                for number in 0..<count {
                    try? writer.send(
                        .create, ["collection": "c", "data": ["_id": .string("k\(number)"), "t": text], "return": "id"],
                        requestID: UInt32(number))
                }
            }
            #expect(stall.awaitCall())
            var slowest = Duration.zero
            var pressure = 0.0
            var rounds = 0
            // Until all memtables are full, and a while longer.
            while rounds < 60 || (pressure < 1 && rounds < 2_000) {
                rounds += 1
                let start = ContinuousClock.now
                #expect(try other.call(.ping).type == .pong)
                #expect(try other.call(.read, ["collection": "c", "key": "first"]).type == .success)
                slowest = max(slowest, ContinuousClock.now - start)
                pressure = try other.call(.status)["engine"]?["pressure"]?.doubleValue ?? 0
            }
            #expect(pressure == 1)
            // A loop that waits for the engine would wait until the stall is over, which is below.
            #expect(slowest < .seconds(5))
            stall.open()
            sender.join()
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
