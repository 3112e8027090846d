/// When requests of an open loop are due: the n-th at `begin + n / rate`. Without a rate it only says how long to wait.
struct OpenLoopSchedule {
    private let interval: Double?
    private let begin: UInt64
    private var issued: UInt64 = 0
    private var turn = 0
    /// Requests are due but every connection is full: only an answer can help.
    var isBlocked = false

    init(rate: Double?, begin: UInt64) {
        interval = rate.map { 1_000_000_000 / $0 }
        self.begin = begin
    }

    var isOpenLoop: Bool { interval != nil }

    private func dueTime(_ interval: Double) -> UInt64 { begin + UInt64(Double(issued) * interval) }

    /// The intended send time of the next request when that has come.
    func nextDue(now: UInt64) -> UInt64? {
        guard let interval else { return nil }
        let due = dueTime(interval)
        return due <= now ? due : nil
    }

    mutating func take() { issued += 1 }

    mutating func nextConnection(of count: Int) -> Int {
        turn = turn + 1 < count ? turn + 1 : 0
        return turn
    }

    /// How long a poll may wait so that neither a due request nor the end of the phase is missed.
    func timeout(now: UInt64, end: UInt64) -> UInt64 {
        var until = min(end, now + 1_000_000_000)
        if let interval, !isBlocked { until = min(until, dueTime(interval)) }
        return until > now ? until - now : 0
    }
}
