/// Cuts the body of a request into batches of lines, each line parsed. What is in a batch depends on the body alone, not on how it arrives:
/// a repeat of the request makes the same batches. Memory is that of one batch, however long the body is.
///
/// `@unchecked Sendable`: one task at a time reads, `BulkLoad`'s own or the child that reads ahead for it.

import HummingbirdCore
import NIOCore
import NexaServer
import NexaWire

final class LineBatches: @unchecked Sendable {
    /// `@unchecked Sendable`: it belongs to whoever took it.
    struct Batch: @unchecked Sendable {
        /// Counted from 1.
        var number: Int
        /// What became of each line so far: it could be read or not.
        var outcomes: [BulkLoad.Outcome] = []
        /// MessagePack of the lines that could be read.
        var documents = OutputBytes(capacity: 0)
        /// Their places in `outcomes`.
        var places: [Int] = []
    }

    /// A batch ends with the line that makes it so many lines, or so many bytes.
    private static let lineCountMax = 1_000
    private static let byteCountMax = 256 << 10

    private let exchange: Exchange
    private let clock: BodyClock
    private var body: RequestBody.AsyncIterator
    private var lines = LineSplitter()
    private var isAtEnd = false
    private var lineCount = 0
    private var batchCount = 0

    init(_ exchange: Exchange) {
        self.exchange = exchange
        body = exchange.request.body.makeAsyncIterator()
        clock = BodyClock(exchange.channel, milliseconds: exchange.node.limits.frameMilliseconds)
    }

    /// The next batch; nil behind the last one. The client has the time of a request for each.
    func next() async -> Result<Batch?, Problem> {
        do throws(Problem) { return .success(try await read()) } catch { return .failure(error) }
    }

    private func read() async throws(Problem) -> Batch? {
        clock.restart()
        defer { clock.stop() }
        // One copy of each line, so that none holds the memory of what it arrived in.
        var text = ByteBuffer()
        var ends: [Int] = []
        while ends.count < Self.lineCountMax, text.readableBytes < Self.byteCountMax {
            guard let line = try await nextLine() else { break }
            text.writeImmutableBuffer(line)
            ends.append(text.readableBytes)
        }
        guard !ends.isEmpty else { return nil }
        batchCount += 1
        let (number, first) = (batchCount, lineCount)
        lineCount += ends.count
        return try await exchange.work(on: text.readableBytes) { () throws(Problem) in
            Self.parse(text, ends, number: number, firstLine: first)
        }
    }

    private static func parse(_ text: ByteBuffer, _ ends: [Int], number: Int, firstLine: Int) -> Batch {
        var batch = Batch(number: number, documents: OutputBytes(capacity: text.readableBytes + 64))
        var start = 0
        for (index, end) in ends.enumerated() {
            let line = text.getSlice(at: text.readerIndex + start, length: end - start) ?? ByteBuffer()
            start = end
            do throws(Problem) {
                try NodeRequest.write(document: line, into: batch.documents)
                batch.places.append(index)
                batch.outcomes.append(.stored(line: firstLine + index, id: ""))
            } catch {
                batch.outcomes.append(.failed(line: firstLine + index, code: error.code, error: error.detail))
            }
        }
        return batch
    }

    private func nextLine() async throws(Problem) -> ByteBuffer? {
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
}
