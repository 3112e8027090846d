import NexaServer
import Testing

/// Times are handed in: nothing here waits.
@Suite struct LoginThrottleTests {
    private let here: [UInt8] = [10, 0, 0, 1]
    private let there: [UInt8] = [10, 0, 0, 2]
    private let second: UInt64 = 1_000_000_000

    private func failing(
        _ count: Int, _ throttle: inout LoginThrottle, user: String = "ann", from address: [UInt8], at now: UInt64
    ) {
        for _ in 0..<count { throttle.failed(user: user, address: address, now: now) }
    }

    @Test func theDelayGrowsAndIsBounded() {
        let delays = (0...20).map { LoginThrottle.delay(afterFailures: $0) }
        #expect(delays.prefix(4).allSatisfy { $0 == 0 })
        #expect(delays[4] == second / 10 && delays[5] == second / 5 && delays[6] == 2 * second / 5)
        #expect(zip(delays, delays.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(delays.max() == LoginThrottle.delayMax)
        #expect(LoginThrottle.delay(afterFailures: .max) == LoginThrottle.delayMax)
    }

    @Test func aFewMistakesCostNothing() {
        var throttle = LoginThrottle()
        failing(3, &throttle, from: here, at: second)
        #expect(throttle.admit(user: "ann", address: here, now: second) == .now)
    }

    @Test func attemptsAfterThatWaitInLine() {
        var throttle = LoginThrottle()
        failing(5, &throttle, from: here, at: second)
        let ready = second + second / 5
        #expect(throttle.admit(user: "ann", address: here, now: second) == .wait(until: ready))
        #expect(throttle.admit(user: "ann", address: here, now: ready) == .now)
        #expect(throttle.admit(user: "ann", address: here, now: ready) == .wait(until: ready + second / 5))
    }

    @Test func aLongDelayIsARefusal() {
        var throttle = LoginThrottle()
        failing(12, &throttle, from: here, at: second)
        #expect(throttle.admit(user: "ann", address: here, now: second) == .refuse(milliseconds: 10_000))
        #expect(throttle.admit(user: "ann", address: here, now: 12 * second) == .now)
    }

    @Test func failuresCountForTheUserFromEverywhereAndForTheAddressWithEveryUser() {
        var throttle = LoginThrottle()
        failing(6, &throttle, user: "ann", from: here, at: second)
        #expect(throttle.admit(user: "ann", address: there, now: second) != .now)
        #expect(throttle.admit(user: "bob", address: here, now: second) != .now)
        #expect(throttle.admit(user: "bob", address: there, now: second) == .now)
    }

    @Test func whoGuessesFromElsewhereDoesNotKeepAKnownUserOut() {
        var throttle = LoginThrottle()
        throttle.succeeded(user: "ann", address: here, now: second)
        failing(50, &throttle, user: "ann", from: there, at: second)
        failing(50, &throttle, user: "bob", from: here, at: second)
        #expect(throttle.admit(user: "ann", address: here, now: second) == .now)
        // But guessing from the known address is slowed like any other.
        failing(50, &throttle, user: "ann", from: here, at: second)
        #expect(throttle.admit(user: "ann", address: here, now: second) != .now)
    }

    @Test func aQuietQuarterOfAnHourIsANewStart() {
        var throttle = LoginThrottle()
        failing(50, &throttle, from: here, at: second)
        let later = 2 * second + LoginThrottle.memorySpan
        #expect(throttle.admit(user: "ann", address: here, now: later) == .now)
        failing(3, &throttle, from: here, at: later)
        #expect(throttle.admit(user: "ann", address: here, now: later) == .now)
    }

    @Test func theTableIsBounded() {
        var throttle = LoginThrottle()
        for index in 0..<4_000 {
            throttle.failed(user: "user\(index)", address: [1, 2, UInt8(index >> 8), UInt8(index & 255)], now: UInt64(index))
        }
        #expect(throttle.entryCount <= LoginThrottle.entryCountMax)
        failing(6, &throttle, from: here, at: 5_000)
        #expect(throttle.admit(user: "ann", address: here, now: 5_000) != .now)
    }
}
