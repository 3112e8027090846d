import Glibc
import NexaStorage

/// The workloads of RocksDB's `db_bench` on our engine, with its key and value shapes, so that the two can run side by side: keys of 16
/// bytes (the number big-endian, then '0'), values that compress to about a half, one operation a batch, uniform random numbers.
struct EngineBenchmark {
    enum Workload: String, CaseIterable {
        case fillseq, fillrandom, overwrite, readrandom, readseq, seekrandom, readwhilewriting, follow
        /// Flushes the memtables and runs the compactions that are due: what db_bench calls flush and waitforcompaction.
        case settle
    }

    struct Configuration {
        var directory: String
        /// Keys that there are.
        var keyCount = 1_000_000
        /// Operations of a read workload; 0: as many as there are keys.
        var readCount = 0
        var valueByteCount = 100
        var batchCount = 1
        var threadCount = 1
        var memoryByteCount = 256 << 20
        var memTableByteCount = 64 << 20
        /// Decoded blocks kept; nil: what the memory leaves.
        var cacheByteCount: Int?
        var blockByteCount = 4 << 10
        var durability = Durability.os
        var seed: UInt64 = 301
    }

    struct Result {
        let workload: Workload
        let operationCount: Int
        let seconds: Double
        let note: String

        var line: String {
            let micros = seconds * 1e6 / Double(max(operationCount, 1))
            let rate = Double(operationCount) / max(seconds, 1e-9)
            let name = workload.rawValue + String(repeating: " ", count: max(0, 16 - workload.rawValue.count))
            return "\(name) : \(decimal(micros, 3)) micros/op \(UInt64(rate)) ops/s \(note)"
        }

        private func decimal(_ value: Double, _ digits: Int) -> String {
            let scaled = UInt64(value * 1000)
            let fraction = String(scaled % 1000)
            return "\(scaled / 1000)." + String(repeating: "0", count: digits - fraction.count) + fraction
        }
    }

    /// Runs the named workloads one after the other on one store and reports each; `fillseq`, `fillrandom` and `follow` begin with an empty one.
    static func run(
        names: [String], configuration: Configuration, report: (Result) -> Void
    ) throws {
        let workloads = try names.map { name in
            guard let workload = Workload(rawValue: name) else { throw EngineBenchmarkError.unknownWorkload(name) }
            return workload
        }
        var engine: Engine?
        for workload in workloads {
            if workload == .fillseq || workload == .fillrandom || workload == .follow {
                try engine?.close()
                engine = nil
                try removeStore(configuration.directory)
            }
            let open =
                try engine
                ?? Engine.open(
                    directory: configuration.directory, fileSystem: PosixFileSystem(), options: options(configuration))
            engine = open
            report(try EngineBenchmark(engine: open, configuration: configuration).run(workload))
        }
        try engine?.close()
    }

    static func options(_ configuration: Configuration) -> EngineOptions {
        var options = EngineOptions(memoryByteCount: configuration.memoryByteCount)
        options.memTableByteCount = configuration.memTableByteCount
        options.cacheByteCount = configuration.cacheByteCount
        options.blockByteCount = configuration.blockByteCount
        return options
    }

    /// Removes what an earlier run left; only files that a store consists of.
    static func removeStore(_ directory: String) throws {
        let files = PosixFileSystem()
        let layout = StoreLayout(directory: directory)
        for path in [layout.logDirectory, layout.tableDirectory, directory] where files.exists(path) {
            for name in try files.list(path) where name != "wal" && name != "sst" { try files.remove(Path.join(path, name)) }
        }
    }

    let engine: Engine
    let configuration: Configuration

    private func run(_ workload: Workload) throws -> Result {
        let readCount = configuration.readCount > 0 ? configuration.readCount : configuration.keyCount
        let start = monotonicSeconds()
        let tally: BenchmarkTally =
            switch workload {
            case .fillseq: try inThreads { try fill($0, isRandom: false) }
            case .fillrandom, .overwrite: try inThreads { try fill($0, isRandom: true) }
            case .readrandom: try inThreads { try readRandom($0, count: readCount / configuration.threadCount) }
            case .readseq: try inThreads { _ in try scan(count: readCount / configuration.threadCount) }
            case .seekrandom: try inThreads { try seekRandom($0, count: readCount / configuration.threadCount) }
            case .readwhilewriting: try readWhileWriting(count: readCount)
            case .follow: try follow()
            case .settle: try settle()
            }
        return Result(
            workload: workload, operationCount: tally.operationCount, seconds: monotonicSeconds() - start, note: tally.note)
    }
}

enum EngineBenchmarkError: Error, CustomStringConvertible {
    case unknownWorkload(String)
    case notEmpty
    case diverged

    var description: String {
        switch self {
        case .unknownWorkload(let name):
            let known = EngineBenchmark.Workload.allCases.map(\.rawValue).joined(separator: ", ")
            return "there is no benchmark \(name); there are \(known)"
        case .notEmpty: return "following begins with an empty store"
        case .diverged: return "the follower's log is not the leader's"
        }
    }
}

func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
