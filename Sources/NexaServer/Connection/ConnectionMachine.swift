/// The protocol of one connection without its socket: what to do with the bytes that came, when to read on, when to close.
///
///     open ──DISCONNECT, end of input, stop──► draining ──all answers out──► closed
///       └──broken frame, time limit──────────►    (nothing is read any more)
///
/// Invariants:
/// - A request without an id is executed after the answers of all earlier ones without an id are queued: while such a request is
///   away (in the work pool, or an open stream) the connection is *held* and later frames stay where they are.
/// - Requests with an id may be away side by side, at most `inFlightCountMax`; one that is away because it is large holds as well.
/// - Nothing is read while answers above the output limit wait, while payloads of more than one largest frame are away, while held with
///   input waiting, or while draining.
/// The handler carries decisions out; tests drive the machine like a script.

import NexaStorage
import NexaWire

/// What to do with the next bytes.
package enum FrameDecision {
    /// Nothing can be done before more bytes come (at least this many from the frame's beginning).
    case needMoreBytes(Int)
    /// A whole frame may be there, but it has to wait: for its turn, or for the client to take answers.
    case wait
    /// Execute it, then drop its bytes.
    case execute(Frame)
    /// Control of the stream that holds the connection: execute it out of turn, then drop its bytes.
    case control(Frame)
    /// Answer with the error, drop the frame's bytes, go on.
    case reject(FrameRejection)
    /// Answer with the error and close: the stream of frames is lost.
    case fail(WireError)
    /// The connection takes no more requests; drop all bytes.
    case discard
}

package struct ConnectionMachine: ~Copyable {
    package enum Phase: Equatable, Sendable { case open, draining, closed }

    package private(set) var phase = Phase.open
    package var answers: AnswerQueue
    package var clock: ConnectionClock
    package let limits: ConnectionLimits
    /// Requests in the work pool and open streams.
    package private(set) var inFlightCount = 0
    /// Bytes of their payloads.
    package private(set) var awayByteCount = 0
    /// A request is away that those behind it wait for.
    package private(set) var isHeld = false
    /// What holds the connection is a stream, whose control frames pass.
    package private(set) var isHeldByStream = false
    /// The client sends no more; what it sent is still served.
    package private(set) var inputHasEnded = false
    private var parser: FrameParser

    package init(limits: ConnectionLimits, now: UInt64, answers: consuming AnswerQueue = AnswerQueue()) {
        self.limits = limits
        self.answers = answers
        clock = ConnectionClock(now: now)
        parser = FrameParser(payloadByteCountMax: limits.frameByteCountMax, acceptedFlags: [.requestID, .token])
    }

    /// The largest frame before log-in: a CONNECT with a long password.
    package static let strangerFrameByteCountMax = 8 << 10

    /// The client has to log in: until then its frames are small, and it has the time of the first request for it.
    package mutating func awaitLogIn() {
        parser.payloadByteCountMax = min(limits.frameByteCountMax, Self.strangerFrameByteCountMax)
        clock.awaitsLogIn = true
    }

    package mutating func loggedIn() {
        parser.payloadByteCountMax = limits.frameByteCountMax
        clock.awaitsLogIn = false
    }

    /// Compression was negotiated.
    package mutating func acceptCompressedRequests() { parser.acceptedFlags.insert(.compressed) }

    // MARK: Input

    /// Looks at the front of `bytes`, all input that has not been dropped yet.
    package func decide(_ bytes: UnsafeRawBufferPointer) -> FrameDecision {
        guard phase == .open else { return .discard }
        if isHeld && !isHeldByStream { return .wait }
        if isFull, !isHeld { return .wait }
        if bytes.isEmpty { return .needMoreBytes(FrameHeader.byteCount) }
        switch parser.step(bytes) {
        case .needMoreBytes(let count): return .needMoreBytes(count)
        case .frame(let frame):
            if !isHeld { return .execute(frame) }
            return frame.type == .cursorCredit || frame.type == .cancel ? .control(frame) : .wait
        case .rejected(let rejection): return isHeld ? .wait : .reject(rejection)
        case .failed(let error): return .fail(error)
        }
    }

    /// Whether nothing keeps the next request from being executed.
    package var takesRequests: Bool {
        phase == .open && !isHeld && !isFull
    }

    /// As much is on its way out, or away, as may be.
    private var isFull: Bool {
        answers.byteCount > limits.outputByteCountMax || inFlightCount >= limits.inFlightCountMax
            || awayByteCount > limits.frameByteCountMax
    }

    /// Whether the socket should be read.
    package func wantsInput(bufferedByteCount: Int) -> Bool {
        guard phase == .open, !inputHasEnded else { return false }
        if isFull && !isHeldByStream { return false }
        // Held: one more read's worth is taken, so that control frames and the end of input are seen.
        return !isHeld || bufferedByteCount < Self.heldInputByteCountMax
    }

    /// What may be buffered behind a request that is away.
    package static let heldInputByteCountMax = 64 << 10

    // MARK: Order

    /// A request with a payload of `byteCount` leaves the event loop; its answer comes later. It holds the requests behind it if it has no id.
    package mutating func depart(holds: Bool, byteCount: Int = 0) {
        precondition(phase != .closed)
        inFlightCount += 1
        awayByteCount += byteCount
        if holds {
            precondition(!isHeld, "two requests hold the connection at once")
            isHeld = true
        }
    }

    /// The request that is away became a stream.
    package mutating func becomeStream(holds: Bool) {
        if holds { isHeldByStream = true }
    }

    /// The request that is away holds the others no longer.
    package mutating func letGo() {
        precondition(isHeld && !isHeldByStream)
        isHeld = false
    }

    /// The last answer of a request that was away is queued.
    package mutating func arrive(holds: Bool, byteCount: Int = 0) {
        precondition(inFlightCount > 0 && awayByteCount >= byteCount)
        inFlightCount -= 1
        awayByteCount -= byteCount
        if holds {
            isHeld = false
            isHeldByStream = false
        }
    }

    // MARK: End

    /// The client has closed its side: whole requests that wait are still served, a partial one never will be.
    package mutating func endInput() { inputHasEnded = true }

    /// Whether a stream goes on only with its client's credit; a client that says nothing more cannot give any.
    package var takesCredit: Bool { phase == .open && !inputHasEnded }

    /// No more requests are taken; what is under way is finished.
    package mutating func drain() {
        if phase == .open { phase = .draining }
    }

    /// Whether everything was said and the socket can be closed.
    package func isFinished(socketIsEmpty: Bool) -> Bool {
        phase == .draining && answers.byteCount == 0 && inFlightCount == 0 && socketIsEmpty
    }

    package mutating func close() { phase = .closed }
}
