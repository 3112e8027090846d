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
                do throws(NexaError) {
                    connection = try await topology.acquire(need, deadline: deadline)
                } catch {
                    throw retries?.isInDoubt == true && error.kind != .cancelled ? .inDoubt(error) : error
                }
                now = NIODeadline.now().uptimeNanoseconds
            }
            var attempt = Attempt()
            if deadline != .max { attempt.timeoutMilliseconds = Int((deadline &- min(now, deadline)) / 1_000_000) + 1 }
            if request.isWrite {
                let pause = connection.slowDown.pause
                if pause > .zero { try await rest(pause, deadline: deadline, isInDoubt: retries?.isInDoubt == true) }
                if let retries, retries.isInDoubt, !connection.takesForRepetition(since: began) {
                    throw .inDoubt(NexaError(.connection, "\(connection.host) would take its repetition for another write"))
                }
                if connection.hello.hasOperationIDs {
                    operationID = operationID ?? operationIDs.next()
                    attempt.operationID = operationID
                }
                attempt.wantsToken = configuration.readsOwnWrites
            } else if configuration.readsOwnWrites {
                attempt.after = position.needed(on: connection)
                attempt.wantsToken = configuration.readPreference != .primary
            }
            let outcome = await connection.send(
                request, attempt, request.isWrite ? writeFields : readFields, deadline: deadline)
            // The node forgets operation ids after a while: a repeat that comes later would be a new write.
            let isRemembered = attempt.operationID != nil && connection.takesForRepetition(since: began)
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
            case .timedOut(let sent):
                let isInDoubt = request.isWrite && (sent || retries?.isInDoubt == true)
                throw timeOver(isInDoubt: isInDoubt, connection.host.description)
            case .cancelled: throw .cancelled
            }
            var state = retries ?? RetryState(isWrite: request.isWrite, configuration)
            let decision = state.decide(failure, random: .random(in: 0..<1))
            retries = state
            switch decision {
            case .fail(let error): throw error
            case .retry(let delay): try await rest(delay, deadline: deadline, isInDoubt: state.isInDoubt)
            case .askPrimary: need = .read(.primary)
            case .findLeader(let leader, let delay):
                topology.isNotLeader(connection.host, leader: leader)
                try await rest(delay, deadline: deadline, isInDoubt: state.isInDoubt)
            }
            now = NIODeadline.now().uptimeNanoseconds
        }
    }

    /// Waits, no longer than the budget lasts.
    private func rest(_ delay: Duration, deadline: UInt64, isInDoubt: Bool) async throws(NexaError) {
        let now = NIODeadline.now().uptimeNanoseconds
        guard now < deadline else { throw timeOver(isInDoubt: isInDoubt, "the node") }
        guard delay > .zero else { return }
        let left = deadline == .max ? delay : min(delay, .nanoseconds(Int64(clamping: deadline - now)))
        do { try await Task.sleep(for: left) } catch { throw .cancelled }
    }

    private func timeOver(isInDoubt: Bool, _ host: String) -> NexaError {
        let budget = configuration.timeout.map { "\($0)" } ?? "its limit"
        guard isInDoubt else { return NexaError(.timeout, "\(host) did not answer within \(budget)") }
        return NexaError(
            .unknownOutcome, "\(host) did not answer within \(budget): the write may or may not have happened", isTimeout: true)
    }
}

extension Connection {
    /// Whether the node recognises a write that was sent first at `nanoseconds` or later, by its operation id.
    fileprivate func takesForRepetition(since nanoseconds: UInt64) -> Bool {
        hello.hasOperationIDs && hello.remembersOperation(since: nanoseconds)
    }
}
