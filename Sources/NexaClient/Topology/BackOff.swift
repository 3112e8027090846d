/// How long to wait before trying again: doubled with every failure up to a limit, and then a random part of it ("full jitter"), so that
/// many clients do not come back at once.
package struct BackOff: Sendable {
    package var base: Duration
    package var limit: Duration

    package init(base: Duration, limit: Duration) {
        self.base = base
        self.limit = limit
    }

    /// Between attempts to connect: a node that was restarted is found within a second.
    package static let connecting = BackOff(base: .milliseconds(20), limit: .milliseconds(800))
    /// Between attempts of an operation that a node was too busy for.
    package static let overloaded = BackOff(base: .milliseconds(10), limit: .seconds(1))

    /// After `failures` failures, the first one is 1; `random` is in 0..<1.
    package func delay(failures: Int, random: Double) -> Duration {
        let doubled = base * (1 << min(max(failures - 1, 0), 20))
        return min(doubled, limit) * random
    }
}
