import NexaTransfer
import NexaWire

/// What an import came to, for people and for scripts.
struct ImportReport {
    private let summary: ImportSummary
    private let isDryRun: Bool

    init(_ summary: ImportSummary, isDryRun: Bool) {
        self.summary = summary
        self.isDryRun = isDryRun
    }

    private var seconds: Double { summary.progress.elapsed / .seconds(1) }
    private var rate: Double { Double(summary.progress.documentsThisRun) / max(seconds, 0.001) }

    private var state: String {
        switch summary.end {
        case .complete: isDryRun ? "checked" : "complete"
        case .stopped: "stopped"
        case .failed: "failed"
        }
    }

    var text: String {
        let counts = summary.progress.counts
        var parts = ["\(state): \(Console.grouped(counts.written)) documents \(isDryRun ? "good" : "written")"]
        if counts.present > 0 { parts.append("\(Console.grouped(counts.present)) found already there on repeating") }
        parts.append("\(Console.grouped(counts.rejected)) rejected")
        let thisRun = summary.progress.countsBefore == ImportCounts() ? "" : "this run "
        return parts.joined(separator: ", ")
            + "; \(thisRun)\(Console.fixed(seconds, 2)) s, \(Console.grouped(UInt64(rate))) documents/s"
    }

    var json: String {
        let counts = summary.progress.counts
        var fields: [MessagePackValue.Entry] = [
            .init("state", .string(state)), .init("written", .int(Int64(counts.written))),
            .init("present", .int(Int64(counts.present))), .init("rejected", .int(Int64(counts.rejected))),
            .init("bytes", .int(Int64(summary.progress.bytesDone))),
            .init("documents_this_run", .int(Int64(summary.progress.documentsThisRun))),
            .init("seconds", .double(seconds)), .init("documents_per_second", .double(rate.rounded())),
            .init("resumable", .bool(summary.isResumable)),
        ]
        if case .failed(let error) = summary.end { fields.append(.init("error", .string(error.description))) }
        return JSONText.write(.map(fields))
    }
}
