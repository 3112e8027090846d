// When an operation is tried again. Pure: what happened comes in, what to do goes out.

/// The attempts of one operation so far.
package struct RetryState: Sendable {
    package enum Failure: Sendable {
        /// It never left the client.
        case notSent(NexaError)
        /// It was sent; the connection ended before the answer.
        case unanswered(NexaError, hadOperationID: Bool)
        /// The node refused it.
        case refused(NexaError, hadOperationID: Bool)

        package var error: NexaError {
            switch self {
            case .notSent(let error), .unanswered(let error, _), .refused(let error, _): error
            }
        }
    }

    package enum Decision: Sendable {
        case retry(after: Duration)
        /// The node is not the leader; perhaps it said who is.
        case findLeader(HostAddress?, after: Duration)
        /// The node shows too old a state: ask the leader.
        case askPrimary
        case fail(NexaError)
    }

    private let isWrite: Bool
    private let retriesLost: Bool
    private var unsentCount = 0
    private var lostCount = 0
    private var busyCount = 0
    private var redirectCount = 0
    private var hasAskedPrimary = false
    /// An attempt without an operation id may have happened: no further one is safe.
    private var mayHaveHappened = false
    /// An attempt of a write was sent and not answered: that a later one did nothing does not say that nothing was done.
    package private(set) var isInDoubt = false

    /// Attempts that never left: bounded by time as well, because each waits for a connection.
    private static let unsentCountMax = 10
    private static let lostReadCountMax = 1
    private static let lostWriteCountMax = 5
    private static let busyCountMax = 4
    private static let redirectCountMax = 8

    package init(isWrite: Bool, _ configuration: ClientConfiguration) {
        self.isWrite = isWrite
        retriesLost = isWrite ? configuration.retriesWrites : configuration.retriesReads
    }

    /// Refusals that say that nothing was done, this time.
    private static let nothingDone: Set<String> = ["NOT_LEADER", "OVERLOADED", "SHUTTING_DOWN", "UNAUTHENTICATED"]

    /// `random` is in 0..<1.
    package mutating func decide(_ failure: Failure, random: Double) -> Decision {
        let decision = next(after: failure, random)
        guard isInDoubt, case .fail(let error) = decision else { return decision }
        switch failure {
        case .notSent: return .fail(.inDoubt(error))
        case .refused(let refusal, _) where refusal.code.map(Self.nothingDone.contains) == true: return .fail(.inDoubt(error))
        default: return decision
        }
    }

    private mutating func next(after failure: Failure, _ random: Double) -> Decision {
        switch failure {
        case .notSent(let error):
            guard error.kind == .connection, unsentCount < Self.unsentCountMax else { return .fail(error) }
            unsentCount += 1
            return .retry(after: .zero)
        case .unanswered(let error, let hadOperationID): return lost(error, hadOperationID)
        case .refused(let error, _): return refused(error, random)
        }
    }

    private mutating func lost(_ error: NexaError, _ hadOperationID: Bool) -> Decision {
        // Who does not speak NEXA will not do better the next time.
        guard isWrite else {
            guard error.kind == .connection, retriesLost, lostCount < Self.lostReadCountMax else { return .fail(error) }
            lostCount += 1
            return .retry(after: .zero)
        }
        isInDoubt = true
        if !hadOperationID { mayHaveHappened = true }
        guard error.kind == .connection, retriesLost, !mayHaveHappened, lostCount < Self.lostWriteCountMax else {
            return .fail(NexaError(.unknownOutcome, "The write may or may not have happened: \(error.message)"))
        }
        lostCount += 1
        return .retry(after: .zero)
    }

    private mutating func refused(_ error: NexaError, _ random: Double) -> Decision {
        switch error.code {
        case "NOT_LEADER":
            guard redirectCount < Self.redirectCountMax else { return .fail(error) }
            redirectCount += 1
            let leader = ServerHello.address(error.details?["leader"]?.stringValue)
            return .findLeader(
                leader, after: redirectCount == 1 ? .zero : BackOff.overloaded.delay(failures: redirectCount, random: random))
        case "OVERLOADED":
            guard busyCount < Self.busyCountMax else { return .fail(error) }
            busyCount += 1
            return .retry(after: BackOff.overloaded.delay(failures: busyCount, random: random))
        case "SHUTTING_DOWN":
            guard busyCount < Self.busyCountMax else { return .fail(error) }
            busyCount += 1
            return .retry(after: BackOff.overloaded.delay(failures: busyCount + 2, random: random))
        case "STALE_READ" where !isWrite:
            guard !hasAskedPrimary else { return .fail(error) }
            hasAskedPrimary = true
            return .askPrimary
        case "TIMEOUT" where isWrite:
            return .fail(
                NexaError(
                    .unknownOutcome, "The write may or may not have happened: \(error.message)", code: error.code,
                    isTimeout: true,
                    details: error.details))
        default: return .fail(error)
        }
    }
}

extension NexaError {
    /// What ended an operation of which an attempt was sent and not answered.
    static func inDoubt(_ error: NexaError) -> NexaError {
        NexaError(
            .unknownOutcome, "A write was sent, its answer never came, and then: \(error.message)", code: error.code,
            isTimeout: error.isTimeout, details: error.details)
    }
}
