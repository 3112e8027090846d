import NexaClient
import NexaWire
import Testing

/// What is tried again, and what never is.
struct RetryTests {
    private let configuration = ClientConfiguration(hosts: [HostAddress(host: "h")])
    private let lost = NexaError(.connection, "lost")

    private func refusal(_ code: String, _ more: (String, DocumentValue)...) -> NexaError {
        NexaError(refusal: Document([("code", .string(code)), ("error", "no")] + more))
    }

    private func error(_ decision: RetryState.Decision) -> NexaError.Kind? {
        if case .fail(let error) = decision { error.kind } else { nil }
    }

    @Test func aReadIsSentOnceMore() {
        var state = RetryState(isWrite: false, configuration)
        #expect(error(state.decide(.unanswered(lost, hadOperationID: false), random: 0)) == nil)
        #expect(error(state.decide(.unanswered(lost, hadOperationID: false), random: 0)) == .connection)
    }

    @Test func aWriteWithoutAnOperationIDIsNeverSentAgain() {
        var state = RetryState(isWrite: true, configuration)
        #expect(error(state.decide(.unanswered(lost, hadOperationID: false), random: 0)) == .unknownOutcome)
    }

    @Test func aWriteWithAnOperationIDIsSentAgainAFewTimes() {
        var state = RetryState(isWrite: true, configuration)
        for _ in 0..<5 { #expect(error(state.decide(.unanswered(lost, hadOperationID: true), random: 0)) == nil) }
        #expect(error(state.decide(.unanswered(lost, hadOperationID: true), random: 0)) == .unknownOutcome)
    }

    /// A node that knows operation ids can't know of an attempt that had none.
    @Test func anAttemptWithoutIDForbidsLaterOnesWithID() {
        var state = RetryState(isWrite: true, configuration)
        _ = state.decide(.unanswered(lost, hadOperationID: false), random: 0)
        #expect(error(state.decide(.unanswered(lost, hadOperationID: true), random: 0)) == .unknownOutcome)
    }

    @Test func retriesCanBeSwitchedOff() {
        var configuration = configuration
        configuration.retriesReads = false
        configuration.retriesWrites = false
        var read = RetryState(isWrite: false, configuration)
        #expect(error(read.decide(.unanswered(lost, hadOperationID: false), random: 0)) == .connection)
        var write = RetryState(isWrite: true, configuration)
        #expect(error(write.decide(.unanswered(lost, hadOperationID: true), random: 0)) == .unknownOutcome)
    }

    /// That a later attempt did nothing says nothing of the one that was lost.
    @Test(arguments: ["NOT_LEADER", "OVERLOADED", "SHUTTING_DOWN", "UNAUTHENTICATED"])
    func aRefusalAfterALossLeavesTheOutcomeUnknown(_ code: String) {
        var state = RetryState(isWrite: true, configuration)
        #expect(!state.isInDoubt)
        _ = state.decide(.unanswered(lost, hadOperationID: true), random: 0)
        #expect(state.isInDoubt)
        for _ in 0..<20 {
            guard let kind = error(state.decide(.refused(refusal(code), hadOperationID: true), random: 0)) else { continue }
            #expect(kind == .unknownOutcome)
            return
        }
        Issue.record("it is tried for ever")
    }

    @Test func whatCouldNotBeSentAfterALossIsUnknownToo() {
        var state = RetryState(isWrite: true, configuration)
        _ = state.decide(.unanswered(lost, hadOperationID: true), random: 0)
        #expect(error(state.decide(.notSent(NexaError(.queueFull, "")), random: 0)) == .unknownOutcome)
    }

    /// With its operation id the answer is that to the first attempt.
    @Test func anAnswerToTheRepetitionIsBelieved() {
        var state = RetryState(isWrite: true, configuration)
        _ = state.decide(.unanswered(lost, hadOperationID: true), random: 0)
        #expect(error(state.decide(.refused(refusal("DUPLICATE"), hadOperationID: true), random: 0)) == .duplicateKey)
    }

    @Test func aReadIsNeverInDoubt() {
        var state = RetryState(isWrite: false, configuration)
        _ = state.decide(.unanswered(lost, hadOperationID: false), random: 0)
        #expect(!state.isInDoubt)
        #expect(error(state.decide(.notSent(NexaError(.queueFull, "")), random: 0)) == .queueFull)
    }

    @Test func aReadAsksForThePositionWhereItMayHaveBeenGivenUp() {
        let (position, a) = (SessionPosition(), HostAddress(host: "a"))
        let token = PositionToken(epoch: 1, lsn: 7)
        position.advance(to: token, by: a)
        #expect(position.needed(on: a, leads: true) == nil)
        #expect(position.needed(on: a, leads: false) == token)
        #expect(position.needed(on: HostAddress(host: "b"), leads: true) == token)
    }

    @Test func whatNeverLeftIsSentAgainWhateverItIs() {
        for isWrite in [false, true] {
            var state = RetryState(isWrite: isWrite, configuration)
            for _ in 0..<10 { #expect(error(state.decide(.notSent(lost), random: 0)) == nil) }
            #expect(error(state.decide(.notSent(lost), random: 0)) == .connection)
            var full = RetryState(isWrite: isWrite, configuration)
            #expect(error(full.decide(.notSent(NexaError(.queueFull, "")), random: 0)) == .queueFull)
        }
    }

    @Test func anotherProtocolIsNotTriedTwice() {
        var state = RetryState(isWrite: false, configuration)
        let wrong = NexaError(.protocolViolation, "")
        #expect(error(state.decide(.unanswered(wrong, hadOperationID: false), random: 0)) == .protocolViolation)
    }

    @Test func anOverloadedNodeIsAskedFourMoreTimesEachLater() {
        var state = RetryState(isWrite: true, configuration)
        var delays: [Duration] = []
        for _ in 0..<4 {
            if case .retry(let delay) = state.decide(.refused(refusal("OVERLOADED"), hadOperationID: false), random: 0.5) {
                delays.append(delay)
            }
        }
        #expect(delays == [.milliseconds(5), .milliseconds(10), .milliseconds(20), .milliseconds(40)])
        #expect(error(state.decide(.refused(refusal("OVERLOADED"), hadOperationID: false), random: 0.5)) == .overloaded)
    }

    @Test func theLeaderThatARefusalNamesIsFollowedAndNotForEver() {
        var state = RetryState(isWrite: true, configuration)
        let moved = refusal("NOT_LEADER", ("leader", "other:7000"))
        for round in 0..<8 {
            guard case .findLeader(let leader, let delay) = state.decide(.refused(moved, hadOperationID: false), random: 0.5)
            else {
                Issue.record("round \(round) did not look for the leader")
                return
            }
            #expect(leader == HostAddress(host: "other", port: 7000))
            #expect((delay == .zero) == (round == 0))
        }
        #expect(error(state.decide(.refused(moved, hadOperationID: false), random: 0.5)) == .notLeader)
    }

    @Test func aStaleReadAsksTheLeaderOnce() {
        var state = RetryState(isWrite: false, configuration)
        if case .askPrimary = state.decide(.refused(refusal("STALE_READ"), hadOperationID: false), random: 0) {
        } else {
            Issue.record("the leader was not asked")
        }
        #expect(error(state.decide(.refused(refusal("STALE_READ"), hadOperationID: false), random: 0)) == .staleRead)
    }

    @Test func aWriteThatTheNodeGaveUpOnMayHaveHappened() {
        var state = RetryState(isWrite: true, configuration)
        guard case .fail(let error) = state.decide(.refused(refusal("TIMEOUT"), hadOperationID: false), random: 0) else { return }
        #expect(error.kind == .unknownOutcome && error.isTimeout && error.code == "TIMEOUT")
    }

    @Test func everyOtherRefusalIsAnswered() {
        for (code, kind) in [
            ("DUPLICATE", NexaError.Kind.duplicateKey), ("CONFLICT", .conflict), ("BAD_FILTER", .validation),
            ("FORBIDDEN", .permission),
            ("UNAUTHENTICATED", .authentication), ("TOO_LARGE", .tooLarge), ("READ_ONLY", .readOnly), ("TOKEN_LOST", .staleRead),
            ("WRITE_CONCERN_TIMEOUT", .writeConcern), ("FROM_THE_FUTURE", .server),
        ] {
            var state = RetryState(isWrite: true, configuration)
            #expect(error(state.decide(.refused(refusal(code), hadOperationID: true), random: 0)) == kind)
        }
    }

    @Test func backOffDoublesUpToItsLimitAndIsSpread() {
        let backOff = BackOff(base: .milliseconds(20), limit: .milliseconds(800))
        #expect(backOff.delay(failures: 1, random: 1) == .milliseconds(20))
        #expect(backOff.delay(failures: 4, random: 0.5) == .milliseconds(80))
        #expect(backOff.delay(failures: 1000, random: 1) == .milliseconds(800))
        #expect(backOff.delay(failures: 1000, random: 0) == .zero)
    }
}
