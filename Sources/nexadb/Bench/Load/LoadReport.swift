import Histogram
import NexaBlockingClient
import NexaWire

/// A finished run as text for people and as JSON for scripts (documented in docs/benchmarks.md).
struct LoadReport {
    let run: LoadRun
    let targetName: String
    let result: LoadRun.Result

    private var seconds: Double { Double(result.tally.elapsedNanoseconds) / 1e9 }
    private var perSecond: Double { seconds > 0 ? Double(result.tally.completed) / seconds : 0 }
    /// Documents that a request stands for: a batch writes many, a scan reads the whole key space.
    private var documentsPerRequest: UInt64 {
        switch run.workload.name {
        case "batch": run.plan.batchCount
        case "scan": run.plan.records
        default: 1
        }
    }

    private func microsecondsPerRequest(_ nanoseconds: Double) -> Double? {
        result.tally.completed > 0 ? nanoseconds / 1e3 / Double(result.tally.completed) : nil
    }
    private var clientMicroseconds: Double? { microsecondsPerRequest(Double(result.tally.cpuNanoseconds)) }
    private var serverMicroseconds: Double? { result.serverCPUSeconds.flatMap { microsecondsPerRequest($0 * 1e9) } }

    private var operations: [(name: String, latencies: LoadTally.Latencies)] {
        zip(LoadOperation.allCases, result.tally.latencies).compactMap { operation, latencies in
            latencies.flatMap { $0.totalCount > 0 ? (operation.name, $0) : nil }
        }
    }

    private static let percentiles: [(name: String, value: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("p99.99", 99.99),
    ]

    var text: String {
        let plan = run.plan
        let tally = result.tally
        var lines = [
            "\(run.workload.name) on \(targetName) at \(run.endpoint): \(plan.connections) connections x \(plan.depth) in flight"
                + (plan.threads > 1 ? ", \(plan.threads) threads" : "")
                + (plan.rate.map { ", open loop at \(Console.fixed($0, 0))/s" } ?? ""),
            "  requests    \(Console.grouped(tally.completed)) in \(Console.fixed(seconds, 2)) s = \(Console.grouped(UInt64(perSecond)))/s",
        ]
        if documentsPerRequest > 1 {
            lines.append("  documents   \(Console.grouped(UInt64(perSecond * Double(documentsPerRequest))))/s")
        }
        lines.append(
            "  latency us  " + (["min", "mean"] + Self.percentiles.map(\.name) + ["max"]).map { Console.right($0, 9) }.joined())
        for (name, latencies) in operations {
            let values =
                [Double(latencies.min), latencies.mean]
                + Self.percentiles.map { Double(latencies.valueAtPercentile($0.value)) } + [Double(latencies.max)]
            lines.append("    " + Console.left(name, 10) + values.map { Console.right(Console.fixed($0 / 1e3, 1), 9) }.joined())
        }
        let megabytes = [tally.sentByteCount, tally.receivedByteCount].map {
            Console.fixed(Double($0) / 1e6 / max(seconds, 1e-9), 1)
        }
        lines.append("  network     \(megabytes[0]) MB/s sent, \(megabytes[1]) MB/s received")
        if let clientMicroseconds {
            let server = serverMicroseconds.map { ", server \(Console.fixed($0, 2)) us/request" } ?? ""
            lines.append("  processor   client \(Console.fixed(clientMicroseconds, 2)) us/request\(server)")
        }
        lines.append(
            "  checked     \(Console.grouped(tally.verified)) answers looked at, \(Console.grouped(tally.errors)) errors"
                + (tally.toleratedMisses > 0 ? ", \(Console.grouped(tally.toleratedMisses)) reads ahead of their create" : ""))
        if let problem = tally.firstProblem { lines.append("  first error \(problem)") }
        return lines.joined(separator: "\n")
    }

    var json: MessagePackValue {
        let plan = run.plan
        let tally = result.tally
        var latency: [MessagePackValue.Entry] = []
        for (name, latencies) in operations {
            var entries: [MessagePackValue.Entry] = [
                .init("count", .int(Int64(latencies.totalCount))), .init("min", Self.microseconds(Double(latencies.min))),
                .init("mean", Self.microseconds(latencies.mean)), .init("max", Self.microseconds(Double(latencies.max))),
            ]
            for percentile in Self.percentiles {
                entries.append(.init(percentile.name, Self.microseconds(Double(latencies.valueAtPercentile(percentile.value)))))
            }
            latency.append(.init(name, .map(entries)))
        }
        return [
            "target": .string(targetName), "mix": .string(run.workload.name), "connections": .int(Int64(plan.connections)),
            "in_flight": .int(Int64(plan.depth)), "threads": .int(Int64(plan.threads)),
            "rate": plan.rate.map { .double($0) } ?? nil,
            "records": .int(Int64(plan.records)), "batch_size": .int(Int64(plan.batchCount)),
            "seconds": .double(seconds), "requests": .int(Int64(tally.completed)), "requests_per_second": Self.rounded(perSecond),
            "documents_per_second": Self.rounded(perSecond * Double(documentsPerRequest)),
            "latency_us": .map(latency),
            "sent_bytes": .int(Int64(tally.sentByteCount)), "received_bytes": .int(Int64(tally.receivedByteCount)),
            "client_cpu_us_per_request": clientMicroseconds.map(Self.rounded) ?? nil,
            "server_cpu_us_per_request": serverMicroseconds.map(Self.rounded) ?? nil,
            "verified": .int(Int64(tally.verified)), "errors": .int(Int64(tally.errors)), "misses": .int(Int64(tally.misses)),
            "refused": .int(Int64(tally.refused)), "wrong": .int(Int64(tally.wrong)),
            "first_error": tally.firstProblem.map { .string($0) } ?? nil, "failure": result.failure.map { .string($0) } ?? nil,
        ]
    }

    private static func microseconds(_ nanoseconds: Double) -> MessagePackValue { rounded(nanoseconds / 1e3) }

    /// Three decimals are enough for any figure here.
    private static func rounded(_ value: Double) -> MessagePackValue { .double((value * 1000).rounded() / 1000) }
}
