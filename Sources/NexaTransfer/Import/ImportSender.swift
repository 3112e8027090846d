import CSupport
import NexaBlockingClient
import NexaWire

/// Parses batches and sends them over one connection, two at a time, so that parsing goes on while the node works.
///
/// Invariant: a batch is settled when all its parts were answered. One whose answer is not known is sent again under the same `op_id`s,
/// alone, so that what it wrote the first time is recognised. Confined to one thread.
final class ImportSender {
    private struct Sent {
        let part: BatchRequest.Part
        let batch: RecordBatch
        let isLast: Bool
    }

    private static let batchesInFlightMax = 2
    /// Of a frame, for what surrounds the documents.
    private static let frameReserve = 4096
    private static let retryNanosecondsMin: UInt64 = 50_000_000
    private static let retryNanosecondsMax: UInt64 = 1_000_000_000

    private let plan: ImportPlan
    private let importID: ImportID
    private let exchange: ImportExchange
    private let request: BatchRequest
    private let options: ClientConnection.Options
    private let home: Endpoint
    private var endpoint: Endpoint
    private var connection: ClientConnection?
    private var documentByteCountMax = 0
    private var sent: [Sent] = []
    /// Batches to be sent again.
    private var repeats: [RecordBatch] = []
    /// Records of the batch in hand whose ids were taken: by an earlier sending of it, or by somebody else.
    private var doubts: [Int] = []
    private var pace = SendPace()
    /// Since when nothing has been answered.
    private var troubleBegan: ContinuousClock.Instant?
    private var retryNanoseconds = retryNanosecondsMin

    init(
        _ plan: ImportPlan, columns: [String], importID: ImportID, _ exchange: ImportExchange, home: Endpoint, leader: Endpoint,
        _ options: ClientConnection.Options
    ) {
        self.plan = plan
        self.importID = importID
        self.exchange = exchange
        self.options = options
        self.home = home
        endpoint = leader
        request = BatchRequest(plan, columns: columns, importID: importID)
    }

    /// Until no batches come any more, or the import stops.
    func run() {
        do throws(TransferError) {
            while try step() {}
        } catch {
            exchange.stop(error)
            takeOutstandingAnswers()
        }
        exchange.leave()
    }

    /// What is in flight when the import ends by a record is settled all the same.
    private func takeOutstandingAnswers() {
        do throws(TransferError) {
            while !sent.isEmpty { try receive() }
        } catch {
            exchange.noteWriting()
        }
    }

    /// Sends a batch or takes an answer; false when there is nothing left to do.
    private func step() throws(TransferError) -> Bool {
        let batch = nextBatch()
        if batch == nil && sent.isEmpty { return false }
        do throws(TransferError) {
            if let batch { try send(batch) } else { try receive() }
        } catch {
            guard case .client(let failure) = error else { throw error }
            try recover(from: failure, batch)
        }
        return true
    }

    /// What to send now: one that is to be repeated when nothing else is in flight, else a new one while there is room for it.
    private func nextBatch() -> RecordBatch? {
        if repeats.isEmpty, !(sent.first?.batch.isRepeat ?? false), sent.count(where: \.isLast) < Self.batchesInFlightMax,
            let batch = exchange.take(waits: sent.isEmpty)
        {
            if !batch.isRepeat { return batch }
            repeats.append(batch)
        }
        return sent.isEmpty && !repeats.isEmpty && !exchange.isStopping ? repeats.removeFirst() : nil
    }

    // MARK: Sending

    private func send(_ batch: RecordBatch) throws(TransferError) {
        if pace.nanoseconds > 0 { exchange.pause(nanoseconds: pace.nanoseconds) }
        let connection = try connected()
        batch.outcome = BatchOutcome()
        doubts.removeAll()
        var part = try prepare(batch, after: nil)
        if part.records.isEmpty { return try exchange.settle(batch) }
        while true {
            connection.enqueue(.batchWrite) { request.write(part, of: batch, into: $0) }
            let next = try following(part, of: batch)
            let isLast = next?.records.isEmpty ?? true
            sent.append(Sent(part: part, batch: batch, isLast: isLast))
            try client { () throws(ClientError) in try connection.flush() }
            guard !isLast, let next else { return }
            part = next
        }
    }

    /// The part behind one that is on its way already, whatever becomes of the next.
    private func following(_ part: BatchRequest.Part, of batch: RecordBatch) throws(TransferError) -> BatchRequest.Part? {
        guard part.next < batch.records.count else { return nil }
        do throws(TransferError) {
            return try prepare(batch, after: part)
        } catch {
            exchange.noteWriting()
            throw error
        }
    }

    private func prepare(_ batch: RecordBatch, after last: BatchRequest.Part?) throws(TransferError) -> BatchRequest.Part {
        let part = request.prepare(batch, after: last, documentByteCountMax: documentByteCountMax)
        if plan.onError == .stop, let first = batch.outcome.rejects.first { throw .refused(first) }
        return part
    }

    private func connected() throws(TransferError) -> ClientConnection {
        if let connection { return connection }
        let opened = try client { () throws(ClientError) in try ClientConnection.open(endpoint, options) }
        let frameByteCountMax = opened.serverInfo["max_frame"]?.intValue ?? 16 << 20
        documentByteCountMax = max(0, Int(frameByteCountMax) - Self.frameReserve)
        connection = opened
        return opened
    }

    // MARK: Answers

    private func receive() throws(TransferError) {
        guard let connection else { preconditionFailure("what was sent went over a connection") }
        let reply = try client { () throws(ClientError) in try connection.receiveRaw() }
        pace.heard(isSlowDown: reply.isSlowDown)
        let answered = sent[0]
        switch reply.type {
        case .success: try read(reply.payload, answered)
        case .error:
            guard let payload = try? MessagePackValue(decoding: reply.payload) else { throw Self.unreadable }
            throw .client(.refused(Refusal(payload: payload)))
        default: throw .client(.protocolViolation("\(reply.type.name) answers no BATCH_WRITE"))
        }
        troubleBegan = nil
        retryNanoseconds = Self.retryNanosecondsMin
        // Until its doubts are resolved the batch counts as sent: a connection that is lost meanwhile has it sent again.
        if answered.isLast && !doubts.isEmpty { try resolveDoubts(answered.batch, connection) }
        sent.removeFirst()
        if answered.isLast { try exchange.settle(answered.batch) }
    }

    private static var unreadable: TransferError { .client(.protocolViolation("an answer that cannot be read")) }

    /// Counts what was written, and notes what was not: each document of the part is one or the other.
    private func read(_ payload: UnsafeRawBufferPointer, _ answered: Sent) throws(TransferError) {
        let records = answered.part.records
        guard
            let count = Self.field("count", payload).flatMap({ bytes in
                var reader = MessagePackReader(bytes)
                return try? reader.readInt64()
            })
        else { throw Self.unreadable }
        let errors = try Self.errors(in: payload)
        let places = errors.compactMap { $0["index"]?.intValue.flatMap { Int(exactly: $0) } }.filter(records.indices.contains)
        guard (0...Int64(records.count)).contains(count), Int(count) + errors.count == records.count,
            Set(places).count == errors.count
        else {
            throw .client(.protocolViolation("the answer to a batch does not account for each of its \(records.count) documents"))
        }
        let batch = answered.batch
        batch.outcome.written += Int(count)
        if count > 0 { exchange.noteWriting() }
        for (place, error) in zip(places, errors) {
            let index = Int(records[place])
            if batch.isRepeat && plan.mode == .insert && error["code"]?.stringValue == "DUPLICATE" {
                doubts.append(index)
            } else {
                batch.reject(index, error["error"]?.stringValue ?? "the node gave no reason")
            }
        }
    }

    private static func errors(in payload: UnsafeRawBufferPointer) throws(TransferError) -> [MessagePackValue] {
        guard let list = field("errors", payload) else { return [] }
        guard let errors = try? MessagePackValue(decoding: list).arrayValue else { throw unreadable }
        return errors
    }

    private static func field(_ name: StaticString, _ payload: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let found = nexa_mp_map_find(payload.baseAddress, payload.count, name.utf8Start, name.utf8CodeUnitCount)
        return found.ptr.map { UnsafeRawBufferPointer(start: $0, count: found.len) }
    }

    // MARK: Doubts

    /// Ids that were taken when their batch was sent again: this import's own writing, or somebody else's document. A made id is ours, and so
    /// is a document that equals the record.
    private func resolveDoubts(_ batch: RecordBatch, _ connection: ClientConnection) throws(TransferError) {
        for index in doubts {
            guard let document = request.document(index, of: batch), let key = document["_id"]?.stringValue else { continue }
            var isOurs = Array(key.utf8).withUnsafeBytes { importID.made($0) }
            if !isOurs {
                let question: MessagePackValue = [
                    "database": .string(plan.database), "collection": .string(plan.collection), "key": .string(key),
                    "include_vector": true,
                ]
                let reply = try client { () throws(ClientError) in try connection.request(.read, question) }
                isOurs = reply.payload["document"].map { Self.fields($0) == Self.fields(document) } ?? false
            }
            if isOurs { batch.outcome.present += 1 } else { batch.reject(index, "a document with the _id '\(key)' exists") }
        }
    }

    /// The bytes of a document's own fields.
    private static func fields(_ document: MessagePackValue) -> [UInt8] {
        let kept = (document.mapValue ?? []).filter { entry in
            !["_id", "_created_at", "_updated_at"].contains(entry.key.stringValue)
        }
        return MessagePackValue.map(kept).encoded()
    }

    // MARK: Trouble

    private func client<R>(_ body: () throws(ClientError) -> R) throws(TransferError) -> R {
        do throws(ClientError) { return try body() } catch { throw .client(error) }
    }

    /// A final refusal is an answer, if not the one that was hoped for.
    private static func answerCount(_ error: ClientError) -> Int {
        if case .refused = error, SendFailure(error) == .final { 1 } else { 0 }
    }

    /// Gives the connection up; what has no answer is sent again, unless that is no use or has gone on for too long.
    private func recover(from error: ClientError, _ batch: RecordBatch?) throws(TransferError) {
        connection = nil
        let verdict = SendFailure(error)
        if sent.count > Self.answerCount(error) { exchange.noteWriting() }
        var unanswered: [RecordBatch] = []
        for each in sent.map(\.batch) + (batch.map { [$0] } ?? []) where unanswered.last !== each { unanswered.append(each) }
        sent.removeAll()
        for each in unanswered { each.isRepeat = true }
        repeats = unanswered + repeats
        switch verdict {
        case .final: throw .client(error)
        case .elsewhere(let leader): endpoint = leader
        // A leader that one was sent to may be gone: ask where one began.
        case .again: endpoint = home
        }
        let began = troubleBegan ?? .now
        troubleBegan = began
        guard ContinuousClock.now - began < .seconds(plan.retrySeconds) else { throw .client(error) }
        exchange.pause(nanoseconds: retryNanoseconds)
        retryNanoseconds = min(Self.retryNanosecondsMax, retryNanoseconds * 2)
    }
}
