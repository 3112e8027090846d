/// Work that goes on in slices on the pool: a scan, a search, a stream. Between two slices it holds no thread, and a stream that
/// waits for credit holds one page of memory at most.
///
///     step ─► paused     the time slice is used up: step again, on any thread
///          ├► chunk      whole frames are in the output; more follow when the client has credit
///          └► answered   the last frame is in the output
///
/// Confined to one thread at a time.

import NexaDocuments
import NexaStorage
import NexaWire

/// When a QUERY becomes a stream.
package enum StreamMode: Equatable, Sendable {
    case never
    /// When its result exceeds one batch.
    case whenLarge
    case always
}

package final class LongWork {
    package enum Kind {
        case query(QueryCursor, StreamMode, batchSize: Int, collection: Collection)
        case count(QueryCursor, collection: Collection)
        /// `begin` in `MonotonicTime`.
        case explain(QueryCursor, collection: Collection, begin: UInt64)
        case search(VectorSearch, collection: Collection)
        case statistics(StatisticsScan, database: String, collection: Collection?)
        case toon(ToonQuery)
        case vectors(VectorCensus)
        case vectorIndex(QueryCursor, collection: Collection)
    }

    package enum Step: Equatable {
        case paused
        case chunk
        case answered(hold: LSN)
    }

    /// Bytes of documents in one chunk of a stream.
    static let chunkByteCount = 256 << 10
    /// One slice on a pool thread.
    static let sliceNanoseconds: UInt64 = 5_000_000

    private let kind: Kind
    /// Documents that were found and not yet framed.
    private let page = OutputBytes(capacity: 4 << 10)
    private var pageCount = 0
    private(set) var isStreaming = false

    package init(_ kind: Kind) { self.kind = kind }

    /// The client is slow: give back what need not be held meanwhile.
    func park() {
        if case .query(let cursor, _, _, _) = kind { cursor.park() }
        page.removeAll(keepingCapacity: false)
    }

    func step(_ executor: Executor, _ call: Call, _ session: Session, streamID: UInt64, _ output: OutputBytes)
        throws(DocumentError) -> Step
    {
        let budget = StepBudget(nanoseconds: Self.sliceNanoseconds)
        switch kind {
        case .query(let cursor, let mode, let batchSize, let collection):
            let context = AnswerContext(executor: executor, call: call, session: session, output: output)
            return try stepQuery(cursor, mode, batchSize, collection, streamID, context)
        case .count(let cursor, let collection):
            guard try cursor.next(into: page, budget: budget).outcome == .done else { return .paused }
            executor.answerCount(cursor, collection, call, session, output)
            return .answered(hold: cursor.lsn)
        case .explain(let cursor, let collection, let begin):
            let outcome = try cursor.next(into: page, budget: budget).outcome
            page.removeAll()
            guard outcome == .done else { return .paused }
            executor.answerExplain(cursor, collection, begin: begin, call, session, output)
            return .answered(hold: cursor.lsn)
        case .search(let search, let collection):
            guard try search.step(budget: budget) == .done else { return .paused }
            try executor.answerSearch(search, collection, call, session, output)
            return .answered(hold: search.lsn)
        case .statistics(let scan, let database, let collection):
            guard try scan.step(budget: budget) == .done else { return .paused }
            executor.answerStatistics(scan, database, collection, call, session, output)
            return .answered(hold: scan.lsn)
        case .toon(let query):
            guard try query.step(budget: budget, limit: executor.node.limits.frameByteCountMax) == .done else { return .paused }
            try executor.answerToon(query, call, session, output)
            return .answered(hold: query.lsn)
        case .vectors(let census):
            let limit = executor.node.limits.frameByteCountMax
            guard try census.step(executor.worker, budget: budget, limit: limit) == .done else { return .paused }
            try executor.answerVectors(census, call, session, output)
            return .answered(hold: census.lsn)
        case .vectorIndex(let cursor, let collection):
            guard try cursor.next(into: page, budget: budget).outcome == .done else { return .paused }
            try executor.answerVectorIndex(cursor, collection, call, session, output)
            return .answered(hold: cursor.lsn)
        }
    }

    // MARK: QUERY

    private struct AnswerContext {
        let executor: Executor
        let call: Call
        let session: Session
        let output: OutputBytes
    }

    private func stepQuery(
        _ cursor: QueryCursor, _ mode: StreamMode, _ batchSize: Int, _ collection: Collection, _ streamID: UInt64,
        _ context: AnswerContext
    ) throws(DocumentError) -> Step {
        let limit = context.executor.node.limits.frameByteCountMax
        let budget =
            mode == .never
            ? StepBudget(byteCountMax: limit + 1 - min(page.byteCount, limit), nanoseconds: Self.sliceNanoseconds)
            : StepBudget(
                // One more before it is known to be a stream: a result of exactly one batch is a list.
                documentCountMax: batchSize - pageCount + (mode == .whenLarge && !isStreaming ? 1 : 0),
                byteCountMax: max(1, Self.chunkByteCount - page.byteCount),
                nanoseconds: Self.sliceNanoseconds)
        let (count, outcome) = try cursor.next(into: page, budget: budget)
        pageCount += count
        if page.byteCount > limit { throw Executor.resultTooLarge(limit) }
        switch outcome {
        case .paused: return .paused
        case .full:
            if mode == .never { return .paused }
            writeStart(streamID, collection, cursor.lsn, context)
            writeChunk(streamID, cursor.lsn, context)
            return .chunk
        case .done:
            if !isStreaming && mode != .always {
                try writeList(cursor, collection, context)
            } else {
                writeStart(streamID, collection, cursor.lsn, context)
                if pageCount > 0 { writeChunk(streamID, cursor.lsn, context) }
                writeEnd(streamID, cursor, context)
            }
            return .answered(hold: cursor.lsn)
        }
    }

    private func writeList(_ cursor: QueryCursor, _ collection: Collection, _ context: AnswerContext) throws(DocumentError) {
        let output = context.output
        let mark = context.executor.begin(.success, context.call, lsn: cursor.lsn, output)
        if context.session.dialect == .plain {
            takePage(output)
        } else {
            let count = cursor.returnedCount == 0 ? cursor.matchedCount : cursor.returnedCount
            context.executor.writeEnvelope(collection, fieldCount: 4, output)
            output.writeString("documents")
            takePage(output)
            output.writeString("count")
            output.writeInt(count)
        }
        try context.executor.checkSize(mark, output)
        context.executor.end(mark, context.session, output)
    }

    private func writeStart(_ streamID: UInt64, _ collection: Collection, _ lsn: LSN, _ context: AnswerContext) {
        guard !isStreaming else { return }
        isStreaming = true
        let output = context.output
        let mark = context.executor.begin(.streamStart, context.call, lsn: lsn, output)
        output.writeMapHeader(3)
        output.writeString("stream")
        output.writeUInt(streamID)
        output.writeString("database")
        output.writeString(collection.database)
        output.writeString("collection")
        output.writeString(collection.name)
        output.endFrame(mark)
    }

    private func writeChunk(_ streamID: UInt64, _ lsn: LSN, _ context: AnswerContext) {
        let output = context.output
        let mark = context.executor.begin(.streamChunk, context.call, lsn: lsn, output)
        output.writeMapHeader(2)
        output.writeString("stream")
        output.writeUInt(streamID)
        output.writeString("documents")
        takePage(output)
        context.executor.end(mark, context.session, output)
    }

    private func writeEnd(_ streamID: UInt64, _ cursor: QueryCursor, _ context: AnswerContext) {
        let output = context.output
        let mark = context.executor.begin(.streamEnd, context.call, lsn: cursor.lsn, output)
        output.writeMapHeader(2)
        output.writeString("stream")
        output.writeUInt(streamID)
        output.writeString("count")
        output.writeInt(cursor.returnedCount)
        output.endFrame(mark)
    }

    /// Appends the page as a list and empties it.
    private func takePage(_ output: OutputBytes) {
        output.writeArrayHeader(pageCount)
        output.append(page.bytes)
        page.removeAll()
        pageCount = 0
    }
}
