/// One request on its way through the work pool and back: a copy of its payload, of its session, and the memory of its answer.
///
/// `@unchecked Sendable`: it belongs to one thread at a time. The event loop hands it to the pool (`submit` orders the two) and
/// gets it back through `EventLoop.execute`; `ending` alone is touched from both sides.

import NexaDocuments
import NexaStorage
import NexaWire
import Synchronization

package final class PoolTask: @unchecked Sendable {
    /// What came of a turn on a pool thread.
    package enum Turn: Equatable, Sendable {
        /// The time slice is used up; others wait.
        case again
        /// Frames of a stream are in `output`; more to come.
        case chunk
        /// The last frame is in `output`. It may leave when `hold` is acknowledged.
        case finished(hold: LSN, commitCount: Int)
        /// It is asked again when what it waits for is there.
        case waiting(RequestWait)
    }

    let type: MessageType
    let requestID: UInt32?
    let wantsToken: Bool
    let floor: LSN
    /// Names the stream, should the request become one.
    let streamID: UInt64
    /// What it has waited for so far.
    var wait = WaitState()
    /// When it began to wait last, in `MonotonicTime`.
    var parkedAt: UInt64 = 0
    /// What its answer needs beyond this disk.
    var concern: PendingConcern?
    /// When the request arrived, in `MonotonicTime`.
    let arrival: UInt64
    let output = OutputBytes(capacity: 512)
    private let payload: UnsafeMutableRawBufferPointer
    /// The payload was checked.
    private var isValidated: Bool
    private(set) var session: Session
    private var work: LongWork?
    private let ending = Atomic<UInt8>(Ending.none.rawValue)

    // The event loop's side.
    /// The requests behind it on its connection wait for it.
    var holdsConnection = false
    /// Chunks of a stream that the client still takes.
    var credit: Int
    /// The task is in the pool or on its way back.
    var isAway = true
    /// It waits for something else than a thread (`RequestWait`).
    var isParked = false
    /// It waits until its connection has room for its answer.
    var isQueued = false
    /// A chunk came back: it counts as a stream until it ends.
    var isStream = false
    /// Its first chunk waits for other nodes (`concern`), and may turn out to be an error: no other is made before.
    var isHeldForOthers = false
    /// Since when the stream waits for credit, in milliseconds of the loop's clock.
    var waitsSince: UInt64?

    /// Why the next slice is the last.
    private enum Ending: UInt8 {
        case none, cancelled, noCredit, stopping

        var error: DocumentError {
            switch self {
            case .noCredit:
                DocumentError(
                    .timeout, "The stream ends: its client gave it no credit for too long (stream-timeout); run the query again")
            case .stopping: DocumentError(.shuttingDown, "The node is stopping")
            case .none, .cancelled: DocumentError(.cancelled, "The request was cancelled")
            }
        }
    }

    /// Turns of one task before others get theirs.
    private static let turnNanoseconds: UInt64 = 20_000_000
    static let creditDefault = 2

    init(
        type: MessageType, requestID: UInt32?, wantsToken: Bool, payload: UnsafeRawBufferPointer, isValidated: Bool,
        session: Session, floor: LSN, streamID: UInt64, arrival: UInt64
    ) {
        self.type = type
        self.requestID = requestID
        self.wantsToken = wantsToken
        self.floor = floor
        self.streamID = streamID
        self.arrival = arrival
        self.session = session
        self.isValidated = isValidated
        credit = Self.creditDefault
        self.payload = .allocate(byteCount: payload.count, alignment: 16)
        self.payload.copyMemory(from: payload)
    }

    deinit { payload.deallocate() }

    /// Bytes held for the client's request.
    var payloadByteCount: Int { payload.count }

    /// Its next slice ends it.
    var isEnding: Bool { ending.load(ordering: .acquiring) != Ending.none.rawValue }
    /// From any thread: the next slice ends with CANCELLED.
    func cancel() { end(.cancelled) }
    /// From any thread: the next slice ends with TIMEOUT.
    func expire() { end(.noCredit) }
    /// From any thread: the next slice ends with SHUTTING_DOWN.
    func stop() { end(.stopping) }

    private func end(_ reason: Ending) {
        _ = ending.compareExchange(expected: Ending.none.rawValue, desired: reason.rawValue, ordering: .acquiringAndReleasing)
    }

    /// On a pool thread: works until a chunk is full, the end, or others have waited for a while.
    func turn(_ executor: Executor, othersWait: () -> Bool) -> Turn {
        let call = Call(type: type, requestID: requestID, wantsToken: wantsToken, isSlowed: false, floor: floor, wait: wait)
        let start = MonotonicTime.nanoseconds()
        while true {
            let frameStart = output.byteCount
            do throws(DocumentError) {
                if let ending = Ending(rawValue: ending.load(ordering: .acquiring)), ending != .none { throw ending.error }
                guard let work else {
                    if let turn = begin(executor) { return turn }
                    continue
                }
                switch try work.step(executor, call, session, streamID: streamID, output) {
                case .paused:
                    if othersWait(), MonotonicTime.nanoseconds() &- start > Self.turnNanoseconds { return .again }
                case .chunk:
                    return .chunk
                case .answered(let hold):
                    self.work = nil
                    return .finished(hold: hold, commitCount: 0)
                }
            } catch {
                work = nil
                output.truncate(to: frameStart)
                executor.fail(error, session, requestID: requestID, into: output)
                return .finished(hold: 0, commitCount: 0)
            }
        }
    }

    /// Executes the request; nil when it goes on as `work`.
    private func begin(_ executor: Executor) -> Turn? {
        let outcome = executor.execute(
            type: type, requestID: requestID, wantsToken: wantsToken, payload: UnsafeRawBufferPointer(payload),
            isValidated: isValidated, session: &session, floor: floor, wait: wait, into: output)
        isValidated = true
        concern = executor.concern
        executor.concern = nil
        switch outcome {
        case .answered(let hold, let commitCount): return .finished(hold: hold, commitCount: commitCount)
        case .work(let work):
            self.work = work
            return nil
        case .offload where executor.pendingWait != nil:
            let wait = executor.pendingWait!
            executor.pendingWait = nil
            return .waiting(wait)
        case .offload, .disconnect, .cancel, .credit, .replicate, .logIn, .subscribe, .unsubscribe:
            let error = DocumentError(.internal, "\(type.name) cannot be served by the work pool")
            executor.fail(error, session, requestID: requestID, into: output)
            return .finished(hold: 0, commitCount: 0)
        }
    }

    /// The stream waits for its client.
    func park() { work?.park() }
}
