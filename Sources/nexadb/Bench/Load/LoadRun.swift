import Glibc
import NexaBlockingClient
import NexaStorage
import Synchronization

/// Runs a plan: opens the connections, one loop per thread, and puts the tallies together.
struct LoadRun {
    let target: LoadTarget
    let endpoint: Endpoint
    let plan: LoadPlan
    let workload: Workload
    /// Process id of the server when it runs on this machine and its processor time shall be told.
    var serverPID: Int32?

    struct Result: Sendable {
        var tally: LoadTally
        /// Processor seconds of the server within the measured part.
        var serverCPUSeconds: Double?
        /// The run ended early because of this.
        var failure: String?
    }

    func run() throws -> Result {
        let opened = try target.open(endpoint, count: plan.connections, timeout: .seconds(10))
        switch target {
        case .redis(let replicas):
            return try drive(RespDialect(batchCount: Int(plan.batchCount), replicas: replicas), opened.descriptors)
        case .nexa(_, var requests, _):
            requests.handle = opened.handle
            requests.batchCount = Int(plan.batchCount)
            return try drive(NexaDialect(requests), opened.descriptors)
        }
    }

    private func drive<Dialect: LoadDialect>(_ dialect: Dialect, _ descriptors: [Int32]) throws -> Result {
        for part in workload.parts {
            if let reason = dialect.whyNot(part.operation) {
                throw LoadFailure(description: "cannot run \(workload.name): \(reason)")
            }
        }
        let zipfian = ZipfianDistribution(count: workload.keyChoice == .uniform ? 1 : plan.records)
        let serverCPU = ServerCPU(serverPID)
        let box = ResultBox()
        let threads = (0..<plan.threads).map { index in
            let mine = stride(from: index, to: descriptors.count, by: plan.threads).map { descriptors[$0] }
            return NexaThread(name: "bench-load") { [plan, workload] in
                do throws(LoadFailure) {
                    var loop = try LoadLoop(
                        dialect: dialect, plan: plan, workload: workload, thread: index, descriptors: mine, zipfian: zipfian)
                    do throws(LoadFailure) {
                        try loop.run { if index == 0 { serverCPU.begin() } }
                    } catch {
                        box.add(loop.tally, failure: error.description)
                        return
                    }
                    if index == 0 { serverCPU.end() }
                    box.add(loop.tally, failure: nil)
                } catch {
                    box.add(nil, failure: error.description)
                }
            }
        }
        for thread in threads { thread.join() }
        return Result(
            tally: box.tally ?? LoadTally(workload.parts.map(\.operation)), serverCPUSeconds: serverCPU.seconds,
            failure: box.failure)
    }
}

/// Collects what the threads counted.
private final class ResultBox: Sendable {
    private let state = Mutex<(tally: LoadTally?, failure: String?)>((nil, nil))

    func add(_ tally: LoadTally?, failure: String?) {
        state.withLock { state in
            if let tally, state.tally?.merge(tally) == nil { state.tally = tally }
            state.failure = state.failure ?? failure
        }
    }

    var tally: LoadTally? { state.withLock { $0.tally } }
    var failure: String? { state.withLock { $0.failure } }
}

/// Processor time of another process on this machine, from /proc/PID/stat.
final class ServerCPU: Sendable {
    private let pid: Int32?
    private let span = Mutex<(begin: Double?, end: Double?)>((nil, nil))

    init(_ pid: Int32?) { self.pid = pid }

    func begin() { span.withLock { $0.begin = pid.flatMap(Self.read) } }
    func end() { span.withLock { $0.end = pid.flatMap(Self.read) } }
    var seconds: Double? { span.withLock { span in span.begin.flatMap { begin in span.end.map { $0 - begin } } } }

    /// User and system seconds; fields 14 and 15 behind the command name, which may contain anything.
    private static func read(_ pid: Int32) -> Double? {
        guard let text = try? SmallFile.read("/proc/\(pid)/stat"), let close = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
