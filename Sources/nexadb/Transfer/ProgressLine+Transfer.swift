import NexaTransfer

/// How far an import or an export is.
extension ProgressLine {
    func show(_ progress: ImportProgress) {
        let seconds = progress.elapsed / .seconds(1)
        show(at: seconds, share: Self.share(progress), text: Self.text(progress, seconds: seconds))
    }

    func show(documents: UInt64, elapsed: Duration) {
        let seconds = elapsed / .seconds(1)
        let rate = UInt64(Double(documents) / max(seconds, 0.001))
        show(at: seconds, share: nil, text: "\(Console.grouped(documents)) documents, \(Console.grouped(rate))/s")
    }

    private static func share(_ progress: ImportProgress) -> Double? {
        guard let total = progress.bytesTotal, total > 0 else { return nil }
        return min(1, Double(progress.bytesDone) / Double(total))
    }

    private static func text(_ progress: ImportProgress, seconds: Double) -> String {
        let counts = progress.counts
        let rate = Double(progress.documentsThisRun) / max(seconds, 0.001)
        var parts = [
            "\(Console.grouped(counts.written + counts.present)) documents", "\(Console.grouped(UInt64(rate)))/s",
        ]
        if counts.rejected > 0 { parts.append("\(Console.grouped(counts.rejected)) rejected") }
        if let share = share(progress), let total = progress.bytesTotal {
            parts.insert("\(Int(share * 100)) %", at: 0)
            let done = Double(progress.bytesDone - min(progress.bytesDone, progress.bytesBefore))
            if done > 0 { parts.append("\(Int(Double(total - min(total, progress.bytesDone)) / done * seconds)) s left") }
        }
        return parts.joined(separator: ", ")
    }
}
