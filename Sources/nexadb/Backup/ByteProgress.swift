/// How far long work over bytes is, with its speed and what is left.
final class ByteProgress {
    private let what: String
    private let line: ProgressLine
    private let start = ContinuousClock.now
    /// Bytes that were there at the first look: they say nothing about the speed.
    private var first: UInt64?

    /// - Parameter isAsked: shows it on something that is no terminal as well.
    init(_ what: String, isAsked: Bool) {
        self.what = what
        line = ProgressLine(isWanted: isAsked)
    }

    func show(_ done: UInt64, of total: UInt64, detail: String = "") {
        let first = self.first ?? done
        self.first = first
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let share = total > 0 ? Double(done) / Double(total) : 1
        line.show(
            at: seconds, share: share, isEnd: done == total && total > 0,
            text: text(done, of: total, rate: Double(done - min(done, first)) / max(seconds, 0.001), share: share, detail))
    }

    /// Takes the bar away.
    func end() { line.clear() }

    private func text(_ done: UInt64, of total: UInt64, rate: Double, share: Double, _ detail: String) -> String {
        var text = "\(what) \(Console.fixed(share * 100, 0)) %, \(Console.bytes(done)) of \(Console.bytes(total))"
        if rate > 0 {
            text += ", \(Console.bytes(UInt64(rate)))/s"
            if done < total { text += ", \(Console.fixed(Double(total - done) / rate, 0)) s left" }
        }
        return detail.isEmpty ? text : text + ", " + detail
    }
}
