/// Documents that arrive line by line, stored in the order in which they stand: while one batch is stored the next one is read and parsed,
/// and what became of a batch is told as soon as the node has said so, because a client may wait for it before it sends more.
///
///     body ─► LineBatches (batch n + 1) ─► BATCH_WRITE (batch n), each item for itself ─► outcomes

import NIOCore
import NexaServer
import NexaWire

struct BulkLoad {
    /// What became of a line; lines count from 0.
    enum Outcome {
        case stored(line: Int, id: String)
        case failed(line: Int, code: String, error: String)
    }

    /// What became of a batch of lines.
    struct Batch {
        var outcomes: [Outcome]
        var token: PositionToken?
        var isSlowDown = false
    }

    private let exchange: Exchange
    private let target: Target
    private let batches: LineBatches

    init(_ exchange: Exchange, _ target: Target) {
        self.exchange = exchange
        self.target = target
        batches = LineBatches(exchange)
    }

    /// Stores all lines; `took` hears of each batch. Answers what stopped it before the end.
    func run<Failure: Error>(
        _ took: (Batch) async throws(Failure) -> Void
    ) async throws(Failure) -> Problem? {
        var coming = await batches.next()
        while true {
            switch coming {
            case .failure(let problem): return problem
            case .success(nil): return nil
            case .success(let batch?):
                async let following = batches.next()
                let stored: Batch
                do throws(Problem) { stored = try await store(batch) } catch {
                    // What follows is not read any more.
                    var problem = error
                    problem.closesConnection = true
                    return problem
                }
                try await took(stored)
                coming = await following
            }
        }
    }

    private func store(_ batch: LineBatches.Batch) async throws(Problem) -> Batch {
        guard !batch.places.isEmpty else { return Batch(outcomes: batch.outcomes) }
        var write = NodeRequest(.batchWrite, capacity: batch.documents.byteCount + 256)
        write.add(target, exchange)
        write.add("documents") { output in
            output.writeArrayHeader(batch.places.count)
            output.append(batch.documents.bytes)
        }
        write.add("atomic", false)
        write.add("ordered", false)
        // Each batch is a write of its own.
        try write.addWriteOptions(exchange, part: batch.number)
        let frame = try await exchange.ask(write.frame(), isWrite: true)
        let answer = frame.payload.withUnsafeReadableBytes { try? MessagePackValue(decoding: $0) }
        guard let ids = answer?["document_ids"]?.arrayValue else { throw JSONBody.unreadable }
        var failures: [Int: MessagePackValue] = [:]
        for failure in answer?["errors"]?.arrayValue ?? [] { failures[Int(failure["index"]?.intValue ?? -1)] = failure }
        var outcomes = batch.outcomes
        var stored = ids.makeIterator()
        for (index, place) in batch.places.enumerated() {
            guard case .stored(let line, _) = outcomes[place] else { continue }
            if let failure = failures[index] {
                outcomes[place] = .failed(
                    line: line, code: failure["code"]?.stringValue ?? "", error: failure["error"]?.stringValue ?? "")
            } else {
                outcomes[place] = .stored(line: line, id: stored.next()?.stringValue ?? "")
            }
        }
        return Batch(outcomes: outcomes, token: frame.token, isSlowDown: frame.isSlowDown)
    }
}
