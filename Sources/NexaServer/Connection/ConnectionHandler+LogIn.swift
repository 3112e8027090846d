/// A CONNECT with credentials: it leaves for a log-in thread, waits its turn where somebody has failed before, and comes back to be
/// executed again as the user that it proved to be.
///
/// Until then the connection is held, whether or not the request has an id: nothing is served as somebody else meanwhile.

import NIOCore
import NexaDocuments
import NexaWire

/// `Sendable`: it travels to the log-in thread and back.
struct LogInAttempt: Sendable {
    let credentials: Credentials
    let address: [UInt8]
    let requestID: UInt32?
    let wantsToken: Bool
    let payload: [UInt8]
    /// In `MonotonicTime`.
    let arrival: UInt64
}

extension ConnectionHandler {
    func begin(_ credentials: Credentials, _ frame: Frame, _ payload: UnsafeRawBufferPointer, wantsToken: Bool) {
        // A connection that asks to be somebody else is nobody until that is settled.
        session.principal = nil
        session.usersVersion = 0
        let attempt = LogInAttempt(
            credentials: credentials, address: remoteAddress, requestID: frame.requestID, wantsToken: wantsToken,
            payload: Array(payload), arrival: arrival)
        logIn = attempt
        machine.depart(holds: true)
        if !look(attempt) { conclude(attempt, .refused(Self.tooManyLogIns)) }
    }

    /// Sends the attempt to a log-in thread; false when too many wait there.
    private func look(_ attempt: LogInAttempt) -> Bool {
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let eventLoop = loop.eventLoop
        return loop.node.authenticator.verify(attempt.credentials, address: attempt.address) { verdict in
            eventLoop.execute {
                bound.value.conclude(attempt, verdict)
                bound.value.goOn()
            }
        }
    }

    private func conclude(_ attempt: LogInAttempt, _ verdict: Authenticator.Verdict) {
        guard machine.phase != .closed else { return }
        switch verdict {
        case .wait(let until): wait(attempt, until)
        case .refused(let error):
            end(attempt)
            refuse(error, requestID: attempt.requestID)
        case .accepted(let principal):
            end(attempt)
            connect(attempt, principal)
        }
    }

    private func wait(_ attempt: LogInAttempt, _ until: UInt64) {
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let left = Int64(clamping: until &- min(until, MonotonicTime.nanoseconds()))
        loop.eventLoop.scheduleTask(in: .nanoseconds(left)) {
            let handler = bound.value
            guard handler.machine.phase != .closed, !handler.look(attempt) else { return }
            handler.conclude(attempt, .refused(Self.tooManyLogIns))
            handler.goOn()
        }
    }

    private func connect(_ attempt: LogInAttempt, _ principal: Principal) {
        attempt.payload.withUnsafeBytes { payload in
            let outcome = loop.executor.execute(
                type: .connect, requestID: attempt.requestID, wantsToken: attempt.wantsToken, payload: payload, session: &session,
                floor: floor, principal: principal, into: machine.answers.bytes)
            switch outcome {
            case .answered: connected()
            case .replicate(let principal): handOver(payload, principal)
            case .offload, .work, .disconnect, .cancel, .credit, .logIn, .subscribe, .unsubscribe:
                preconditionFailure("CONNECT is answered at once")
            }
        }
    }

    private func end(_ attempt: LogInAttempt) {
        logIn = nil
        machine.arrive(holds: true)
        noteAnswered(since: attempt.arrival)
    }

    private static var tooManyLogIns: DocumentError {
        DocumentError(.overloaded, "Too many log-ins wait already", details: [.init("retryable", .bool(true))])
    }

    /// What failures from the other end count for: its IPv4 address, or the network part of its IPv6 address.
    private var remoteAddress: [UInt8] {
        switch outlet?.address {
        // Behind family and port; in IPv6 a flow label as well.
        case .v4(let address): withUnsafeBytes(of: address.address) { Array($0[4..<8]) }
        case .v6(let address): withUnsafeBytes(of: address.address) { Array($0[8..<16]) }
        default: []
        }
    }
}
