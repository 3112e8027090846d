/// The time limits of a connection, looked at by the loop's coarse timer: no timer and no clock call a request.
///
/// Times are milliseconds of the loop's clock, which advances with each tick of that timer (a quarter of a second), so a limit
/// is kept to within one tick.

/// A limit that was passed.
package enum TimeLimitPassed: Equatable, Sendable {
    /// No request, or no log-in where one is needed, came after the connection was opened.
    case handshake
    /// A frame began and did not become whole.
    case frame
    /// The client does not take its answers.
    case writeStall
    /// Nothing was asked for a long time.
    case idle

    package var text: String {
        switch self {
        case .handshake: "no request, or no log-in, came in time after connecting (handshake-timeout)"
        case .frame: "the request did not arrive whole in time (frame-timeout)"
        case .writeStall: "answers were not taken in time (write-timeout)"
        case .idle: "nothing was asked for too long (idle-timeout)"
        }
    }
}

package struct ConnectionClock: Sendable {
    private var openedAt: UInt64
    private var lastRequestAt: UInt64
    private var hasServed = false
    /// Requests do not end the time for the first one: it is for log-in.
    package var awaitsLogIn = false
    private var frameBeganAt: UInt64?
    private var stalledAt: UInt64?
    private var takenByteCount: Int64 = 0

    package init(now: UInt64) {
        openedAt = now
        lastRequestAt = now
    }

    /// A whole request was taken.
    @inline(__always)
    package mutating func served(at now: UInt64) {
        hasServed = true
        lastRequestAt = now
    }

    /// Whether input ends within a frame, after all whole frames were taken.
    @inline(__always)
    package mutating func partialFrame(_ isPartial: Bool, at now: UInt64) {
        if !isPartial {
            frameBeganAt = nil
        } else if frameBeganAt == nil {
            frameBeganAt = now
        }
    }

    /// Nothing waits for the client.
    package mutating func allTaken() { stalledAt = nil }

    /// Answers wait, and this many bytes of them the client has taken since it connected. More than last time is progress; that more
    /// answers wait, because the client goes on asking, is none.
    package mutating func taken(_ byteCount: Int64, at now: UInt64) {
        guard stalledAt == nil || byteCount > takenByteCount else { return }
        stalledAt = now
        takenByteCount = byteCount
    }

    /// The limit that has passed at `now`, if any.
    package func passed(_ limits: ConnectionLimits, isBusy: Bool, at now: UInt64) -> TimeLimitPassed? {
        func isOver(_ since: UInt64, _ limit: UInt64) -> Bool { limit > 0 && now &- since > limit }
        if let stalledAt, isOver(stalledAt, limits.writeStallMilliseconds) { return .writeStall }
        if isBusy { return nil }
        if let frameBeganAt, isOver(frameBeganAt, limits.frameMilliseconds) { return .frame }
        if !hasServed || awaitsLogIn, isOver(openedAt, limits.handshakeMilliseconds) { return .handshake }
        if isOver(lastRequestAt, limits.idleMilliseconds) { return .idle }
        return nil
    }
}
