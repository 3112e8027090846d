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

    /// A batch ends with the line that makes it so many lines, or so many bytes. A line of more bytes is a batch of its own.
    private static let lineCountMax = 1_000
    private let byteCountMax: Int
    /// MessagePack of a batch, so that the request around it is one that the node takes.
    private let documentByteCountMax: Int

    private let exchange: Exchange
    private let clock: BodyClock
    private var body: RequestBody.AsyncIterator
    private var lines = LineSplitter()
    /// A line that did not go into the batch before.
    private var heldLine: ByteBuffer?
    private var isAtEnd = false
    private var lineCount = 0
    private var batchCount = 0

    init(_ exchange: Exchange) {
        self.exchange = exchange
        // JSON becomes at most three times as long (`-0`), and a batch has less than twice this.
        byteCountMax = min(256 << 10, exchange.node.limits.frameByteCountMax / 8)
        documentByteCountMax = exchange.node.limits.frameByteCountMax - 1_024
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
        while ends.count < Self.lineCountMax, text.readableBytes < byteCountMax {
            guard let line = try await nextLine() else { break }
            guard ends.isEmpty || line.readableBytes <= byteCountMax else {
                heldLine = line
                break
            }
            text.writeImmutableBuffer(line)
            ends.append(text.readableBytes)
        }
        guard !ends.isEmpty else { return nil }
        batchCount += 1
        let (number, first) = (batchCount, lineCount)
        lineCount += ends.count
        return try await exchange.work(on: text.readableBytes) { () throws(Problem) in
            parse(text, ends, number: number, firstLine: first)
        }
    }

    private func parse(_ text: ByteBuffer, _ ends: [Int], number: Int, firstLine: Int) -> Batch {
        var batch = Batch(number: number, documents: OutputBytes(capacity: text.readableBytes + 64))
        var start = 0
        for (index, end) in ends.enumerated() {
            let line = text.getSlice(at: text.readerIndex + start, length: end - start) ?? ByteBuffer()
            start = end
            do throws(Problem) {
                let byteCount = batch.documents.byteCount
                try NodeRequest.write(document: line, into: batch.documents)
                guard batch.documents.byteCount <= documentByteCountMax else {
                    batch.documents.truncate(to: byteCount)
                    throw Problem(.tooLarge, "The document has more than \(documentByteCountMax) bytes (max-frame)")
                }
                batch.places.append(index)
                batch.outcomes.append(.stored(line: firstLine + index, id: ""))
            } catch {
                batch.outcomes.append(.failed(line: firstLine + index, code: error.code, error: error.detail))
            }
        }
        return batch
    }

    private func nextLine() async throws(Problem) -> ByteBuffer? {
        if let line = heldLine.take() { return line }
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
