import NIOCore
import NexaWire

extension NexaClient {
    /// Carries one operation through: chooses a node, sends, tries again where that is safe, and keeps to the budget. Answers the frame
    /// that is not an ERROR.
    func perform(_ request: Request) async throws(NexaError) -> Reply {
        let began = NIODeadline.now().uptimeNanoseconds
        let deadline = configuration.timeout.map { began &+ UInt64($0.nanoseconds) } ?? .max
        guard telemetry.isActive else { return try await attempt(request, began: began, deadline: deadline) }
        let observation = telemetry.begin(request, at: began)
        do throws(NexaError) {
            let reply = try await attempt(request, began: began, deadline: deadline)
            telemetry.end(observation, nil)
            return reply
        } catch {
            telemetry.end(observation, error)
            throw error
        }
    }

    private func attempt(_ request: Request, began: UInt64, deadline: UInt64) async throws(NexaError) -> Reply {
        var need = request.isWrite ? Need.write : .read(configuration.readPreference)
        var now = began
        var retries: RetryState?
        var operationID: OperationID?
        while true {
            let connection: Connection
            if let ready = topology.choose(need) {
                connection = ready
            } else {
                connection = try await find(need, request, deadline: deadline)
                now = NIODeadline.now().uptimeNanoseconds
            }
            var attempt = Attempt()
            if deadline != .max { attempt.timeoutMilliseconds = Int((deadline &- min(now, deadline)) / 1_000_000) + 1 }
            if request.isWrite {
                let pause = connection.slowDown.pause
                if pause > .zero { try await rest(pause, deadline: deadline, sent: false) }
                if connection.hello.hasOperationIDs {
                    operationID = operationID ?? operationIDs.next()
                    attempt.operationID = operationID
                }
                attempt.wantsToken = configuration.readsOwnWrites
            } else if configuration.readsOwnWrites {
                attempt.after = position.needed(on: connection.host)
                attempt.wantsToken = configuration.readPreference != .primary
            }
            let outcome = await connection.send(
                request, attempt, request.isWrite ? writeFields : readFields, deadline: deadline)
            // The node forgets operation ids after a while: a repeat that comes later would be a new write.
            let isRemembered = attempt.operationID != nil && connection.hello.remembersOperation(since: began)
            let failure: RetryState.Failure
            switch outcome {
            case .reply(let reply):
                if let token = reply.token { position.advance(to: token, by: connection.host) }
                if request.isWrite { connection.slowDown.heard(reply.isSlowDown) }
                guard reply.type == .error else { return reply }
                let refusal = reply.refusal
                if refusal.code == "TOKEN_LOST" { position.forget() }
                failure = .refused(refusal, hadOperationID: isRemembered)
            case .notSent(let error): failure = .notSent(error)
            case .unanswered(let error): failure = .unanswered(error, hadOperationID: isRemembered)
            case .timedOut(let sent): throw timeOver(request, sent: sent, connection.host)
            case .cancelled: throw .cancelled
            }
            var state = retries ?? RetryState(isWrite: request.isWrite, configuration)
            let decision = state.decide(failure, random: .random(in: 0..<1))
            retries = state
            switch decision {
            case .fail(let error): throw error
            case .retry(let delay): try await rest(delay, deadline: deadline, sent: failure.isSent && request.isWrite)
            case .askPrimary: need = .read(.primary)
            case .findLeader(let leader, let delay):
                topology.isNotLeader(connection.host, leader: leader)
                try await rest(delay, deadline: deadline, sent: false)
            }
            now = NIODeadline.now().uptimeNanoseconds
        }
    }

    private func find(_ need: Need, _ request: Request, deadline: UInt64) async throws(NexaError) -> Connection {
        try await topology.acquire(need, deadline: deadline)
    }

    /// Waits, no longer than the budget lasts.
    private func rest(_ delay: Duration, deadline: UInt64, sent: Bool) async throws(NexaError) {
        let now = NIODeadline.now().uptimeNanoseconds
        guard now < deadline else { throw timeOver(isWrite: sent, sent: sent, "the node") }
        guard delay > .zero else { return }
        let left = deadline == .max ? delay : min(delay, .nanoseconds(Int64(clamping: deadline - now)))
        do { try await Task.sleep(for: left) } catch { throw .cancelled }
    }

    private func timeOver(_ request: Request, sent: Bool, _ host: HostAddress) -> NexaError {
        timeOver(isWrite: request.isWrite, sent: sent, host.description)
    }

    private func timeOver(isWrite: Bool, sent: Bool, _ host: String) -> NexaError {
        let budget = configuration.timeout.map { "\($0)" } ?? "its limit"
        guard isWrite, sent else { return NexaError(.timeout, "\(host) did not answer within \(budget)") }
        return NexaError(
            .unknownOutcome, "\(host) did not answer within \(budget): the write may or may not have happened", isTimeout: true)
    }
}

extension RetryState.Failure {
    var isSent: Bool {
        switch self {
        case .unanswered: true
        case .notSent, .refused: false
        }
    }
}
