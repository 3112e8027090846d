/// Documents that arrive line by line: split, parsed, gathered into batches, stored, told of. Memory is that of one batch, however long the
/// body is.
///
///     parts of the body ─► LineSplitter ─► MessagePack in a batch ─► (so many, or so large) BATCH_WRITE, each item for itself ─► outcomes

import HTTPTypes
import HummingbirdCore
import NIOCore
import NexaServer
import NexaWire

struct BulkLoad {
    /// What became of a line; lines count from 0.
    enum Outcome {
        case stored(line: Int, id: String)
        case failed(line: Int, code: String, error: String)
    }

    struct Batch {
        var outcomes: [Outcome] = []
        var token: PositionToken?
    }

    /// A batch is sent when it has so many lines, or so many bytes.
    static let batchLineCountMax = 1_000
    static let batchByteCountMax = 256 << 10

    private let exchange: Exchange
    private let target: Target
    private let clock: BodyClock
    private var body: RequestBody.AsyncIterator
    private var lines = LineSplitter()
    private var isAtEnd = false
    private var lineCount = 0
    private var batchCount = 0

    init(_ exchange: Exchange, _ target: Target) {
        self.exchange = exchange
        self.target = target
        body = exchange.request.body.makeAsyncIterator()
        clock = BodyClock(exchange.channel, milliseconds: exchange.node.limits.frameMilliseconds)
    }

    /// Reads the lines of one batch and stores them; nil behind the last one. The client has the time of a request for each.
    mutating func next() async throws(Problem) -> Batch? {
        clock.restart()
        defer { clock.stop() }
        var batch = Batch()
        let documents = OutputBytes(capacity: Self.batchByteCountMax)
        /// Places in `outcomes` of what is in `documents`.
        var places: [Int] = []
        while batch.outcomes.count < Self.batchLineCountMax, documents.byteCount < Self.batchByteCountMax {
            guard let line = try await nextLine() else { break }
            let number = lineCount
            lineCount += 1
            do throws(Problem) {
                try NodeRequest.write(document: line, into: documents)
                places.append(batch.outcomes.count)
                batch.outcomes.append(.stored(line: number, id: ""))
            } catch {
                batch.outcomes.append(.failed(line: number, code: error.code, error: error.detail))
            }
        }
        // From here on it is the node that is waited for.
        clock.stop()
        if !places.isEmpty { try await store(documents, places, &batch) }
        return batch.outcomes.isEmpty ? nil : batch
    }

    private mutating func nextLine() async throws(Problem) -> ByteBuffer? {
        while true {
            if let line = lines.next() { return line }
            if isAtEnd { return nil }
            guard lines.partByteCount <= exchange.node.limits.frameByteCountMax else {
                var problem = Problem(.tooLarge, "A line has at most \(exchange.node.limits.frameByteCountMax) bytes (max-frame)")
                problem.closesConnection = true
                throw problem
            }
            do {
                if let part = try await body.next() {
                    lines.append(part)
                } else {
                    isAtEnd = true
                    lines.finish()
                }
            } catch {
                throw BodyReader.broken(isLate: clock.isOver)
            }
        }
    }

    private mutating func store(_ documents: OutputBytes, _ places: [Int], _ batch: inout Batch) async throws(Problem) {
        batchCount += 1
        var write = NodeRequest(.batchWrite, capacity: documents.byteCount + 256)
        write.add(target, exchange)
        write.add("documents") { output in
            output.writeArrayHeader(places.count)
            output.append(documents.bytes)
        }
        write.add("atomic", false)
        write.add("ordered", false)
        // Each batch is a write of its own: what is in one depends on the body alone.
        try write.addWriteOptions(exchange, part: batchCount)
        let frame = try await exchange.ask(write.frame(), isWrite: true)
        batch.token = frame.token
        let answer = frame.payload.withUnsafeReadableBytes { try? MessagePackValue(decoding: $0) }
        guard let ids = answer?["document_ids"]?.arrayValue else { throw JSONBody.unreadable }
        var failures: [Int: MessagePackValue] = [:]
        for failure in answer?["errors"]?.arrayValue ?? [] { failures[Int(failure["index"]?.intValue ?? -1)] = failure }
        var stored = ids.makeIterator()
        for (index, place) in places.enumerated() {
            guard case .stored(let line, _) = batch.outcomes[place] else { continue }
            if let failure = failures[index] {
                batch.outcomes[place] = .failed(
                    line: line, code: failure["code"]?.stringValue ?? "", error: failure["error"]?.stringValue ?? "")
            } else {
                batch.outcomes[place] = .stored(line: line, id: stored.next()?.stringValue ?? "")
            }
        }
    }
}
