/// How far long work over bytes is: a bar on a terminal, else, where it was asked for, a line now and then.
final class ByteProgress {
    private let what: String
    private let isLive: Bool
    private let isWanted: Bool
    private let start = ContinuousClock.now
    private var shownAt: ContinuousClock.Instant?
    /// Bytes that were there at the first look: they say nothing about the speed.
    private var first: UInt64?

    /// - Parameter isAsked: shows it on something that is no terminal as well.
    init(_ what: String, isAsked: Bool) {
        self.what = what
        isLive = Console.isErrorTerminal
        isWanted = isLive || isAsked
    }

    func show(_ done: UInt64, of total: UInt64, detail: String = "") {
        let first = self.first ?? done
        self.first = first
        guard isWanted else { return }
        let now = ContinuousClock.now
        if done < total, let shownAt, now - shownAt < (isLive ? .milliseconds(100) : .seconds(2)) { return }
        if done == total, !isLive, shownAt == nil, total == 0 { return }
        shownAt = now
        let share = total > 0 ? Double(done) / Double(total) : 1
        let seconds = Double((now - start).components.seconds) + Double((now - start).components.attoseconds) / 1e18
        let rate = seconds > 0 ? Double(done - min(done, first)) / seconds : 0
        var text = "\(what) \(Console.fixed(share * 100, 0)) %, \(Console.bytes(done)) of \(Console.bytes(total))"
        if rate > 0 {
            text += ", \(Console.bytes(UInt64(rate)))/s"
            if done < total { text += ", \(Console.fixed(Double(total - done) / rate, 0)) s left" }
        }
        if !detail.isEmpty { text += ", \(detail)" }
        if isLive { ProgressBar.draw(text, share: share) } else { Console.note(text) }
    }

    /// Takes the bar away.
    func end() {
        if isLive { ProgressBar.clear() }
    }
}
