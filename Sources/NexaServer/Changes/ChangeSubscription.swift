/// One subscription: a place in the log and what its client wants of it. It holds no events but those of one turn on a pool thread: what
/// is told goes into the output of its connection, and only as far as that takes it.
///
/// `@unchecked Sendable`: it belongs to its event loop, and while `isAway` to the pool thread that reads files for it; `submit` and
/// `EventLoop.execute` hand it over.

import NexaDocuments
import NexaStorage
import NexaWire

package final class ChangeSubscription: @unchecked Sendable {
    /// What came of telling.
    enum Outcome: Equatable {
        /// Everything that may be shown was told.
        case caughtUp
        /// There is more, and room for it.
        case more
        /// What comes next has to be read from the files.
        case needsFiles
        /// There is no way on.
        case ended(SubscriptionEnd)
    }

    let number: UInt64
    let requestID: UInt32?
    let shape: DocumentShape
    let compresses: Bool
    private let frameByteCountMax: Int
    /// In milliseconds; nil: no heartbeats.
    let heartbeat: UInt64?
    private var teller: ChangeTeller
    /// How far events were given to the connection.
    private(set) var told: ChangePosition
    /// The position was found in this node's history.
    var isPlaced: Bool
    /// When the last event was given to the connection, in milliseconds of the loop's clock.
    var toldAt: UInt64
    /// A pool thread has it.
    var isAway = false
    /// What a pool thread told waits in `output` until it may stand among the answers.
    var hasReturned = false
    /// It ended, perhaps while it was away.
    var isEnded = false
    /// What a pool thread wrote, and what came of it.
    let output = OutputBytes(capacity: 64)
    var outcome = Outcome.caughtUp
    private(set) var eventCount = 0
    private var tail: LogTail?

    init(
        number: UInt64, requestID: UInt32?, _ request: SubscriptionRequest, session: Session, node: NodeContext, now: UInt64
    ) {
        self.number = number
        self.requestID = requestID
        shape = request.shape
        compresses = session.features.contains(.lz4)
        frameByteCountMax = node.limits.frameByteCountMax
        heartbeat = request.heartbeatMilliseconds.map { UInt64($0) }
        teller = ChangeTeller(request.filter, from: request.position, names: node.changes.names)
        told = request.position
        isPlaced = request.isPlaced
        toldAt = now
    }

    var filter: ChangeFilter { teller.filter }
    var nextLSN: LSN { teller.nextLSN }

    /// Bytes of events that one turn gives to the connection, but for the last event.
    static let turnByteCount = 64 << 10
    /// Bytes of log that one turn on an event loop looks through, but for the last chunk.
    private static let turnLogByteCount = 1 << 20

    /// Events since the last call.
    func takeEventCount() -> Int {
        defer { eventCount = 0 }
        return eventCount
    }

    /// Takes over how far the pool thread came: its output is with the connection.
    func noteTold() { told = teller.position }

    // MARK: On the event loop

    /// Tells what is in memory.
    func tell(_ chunks: [ChangeChunk], into output: OutputBytes) -> Outcome {
        let start = output.byteCount
        var logByteCount = 0
        var outcome = Outcome.more
        for chunk in chunks {
            var isStopped = false
            chunk.forEach(from: nextLSN) { record in
                logByteCount += record.payload.count
                switch tell(record, searches: false, start: start, into: output) {
                case .done: return output.byteCount - start < Self.turnByteCount
                case .paused: outcome = .more
                case .unknownCollection: outcome = .needsFiles
                case .otherHistory: outcome = .ended(.historyChanged)
                case .damaged: outcome = .ended(.logUnreadable)
                }
                isStopped = true
                return false
            }
            if isStopped || output.byteCount - start >= Self.turnByteCount || logByteCount >= Self.turnLogByteCount { break }
        }
        told = teller.position
        return outcome
    }

    private func tell(
        _ record: ChangeRecord, searches: Bool, start: Int, into output: OutputBytes
    ) -> ChangeTeller.Progress {
        do throws(StorageError) {
            return try teller.tell(record, searches: searches) { change, told in
                append(change, told, to: output)
                return output.byteCount - start < Self.turnByteCount
            }
        } catch {
            return .damaged
        }
    }

    /// An event is at most one frame of the limit that both sides know: what does not fit is left out.
    private func append(_ change: Change, _ told: ChangePosition, to output: OutputBytes) {
        let now = TimeOfDay.now().fractionalSeconds
        for parts in Change.Parts.bySize {
            let mark = output.beginFrame(.changeEvent, requestID: requestID)
            change.append(to: output, subscription: number, shape: shape, told: told, now: now, parts: parts)
            if output.payloadByteCount(since: mark) <= frameByteCountMax || parts.isEmpty {
                if compresses { output.endFrameCompressed(mark) } else { output.endFrame(mark) }
                break
            }
            output.abandonFrame(mark)
        }
        eventCount += 1
    }

    /// Says how far it is though nothing was to be told.
    func beat(into output: OutputBytes) {
        let mark = output.beginFrame(.changeEvent, requestID: requestID)
        output.writeMapHeader(6)
        output.writeString("operationType")
        output.writeString("heartbeat")
        output.writeString("timestamp")
        output.writeDouble(TimeOfDay.now().fractionalSeconds)
        Change.appendPosition(told, subscription: number, to: output)
        output.endFrame(mark)
    }

    /// What its client is told when it ends.
    func farewell(_ end: SubscriptionEnd) -> WireError {
        let text =
            switch end {
            case .slow: "what comes next is not in the log any more: its client took events more slowly than they came"
            case .historyChanged: "its position belongs to a history that was lost in a failover"
            case .shuttingDown: "the node is stopping"
            case .forbidden: "its user may not read this any more"
            case .logUnreadable: "the log could not be read"
            }
        return WireError(
            .subscriptionLost, "The subscription has ended: \(text)",
            details: [
                .init("reason", .string(end.rawValue)), .init("subscription", .uint(number)),
                .init("resume_token", .binary(ResumeToken.encode(told))), .init("retryable", .bool(end == .shuttingDown)),
            ])
    }

    // MARK: On a pool thread

    /// One turn: bounded bytes of log, of output and of time.
    private static let turnNanoseconds: UInt64 = 10_000_000

    /// A file whose reader grew beyond this for a record is closed after the turn.
    private static let keptRecordByteCountMax = 1 << 20

    /// Tells from the files, until the window has what comes next.
    func readFiles(_ feed: ChangeFeed, _ engine: Engine) {
        outcome = .more
        var recordByteCountMax = 0
        defer { if recordByteCountMax > Self.keptRecordByteCountMax { tail = nil } }
        let deadline = MonotonicTime.nanoseconds() &+ Self.turnNanoseconds
        let limit = feed.shownLSN
        let expander = PayloadExpander()
        do throws(StorageError) {
            repeat {
                guard nextLSN <= limit else {
                    outcome = .caughtUp
                    return
                }
                if tail?.nextLSN != nextLSN { tail = engine.tail(from: nextLSN) }
                var progress = ChangeTeller.Progress.done
                let read = try tail!.readRecord(upTo: limit, expander) { record throws(StorageError) in
                    recordByteCountMax = max(recordByteCountMax, record.payload.count)
                    progress = try teller.tell(record, searches: true) { change, told in
                        append(change, told, to: output)
                        return output.byteCount < Self.turnByteCount
                    }
                }
                if case .gone = read {
                    outcome = .ended(.slow)
                    return
                }
                switch progress {
                case .done, .paused: break
                case .otherHistory:
                    outcome = .ended(.historyChanged)
                    return
                case .damaged, .unknownCollection:
                    outcome = .ended(.logUnreadable)
                    return
                }
                if case .chunks = feed.look(nextLSN) { return }
            } while output.byteCount < Self.turnByteCount && MonotonicTime.nanoseconds() < deadline
        } catch {
            outcome = .ended(engine.oldestLogLSN.map { $0 > nextLSN } ?? false ? .slow : .logUnreadable)
        }
    }

    /// Gives the file back: the window has what comes next, or the client takes nothing at the moment.
    func closeFile() { tail = nil }
}
