import NexaBlockingClient
import NexaWire

/// The records that reads and updates work on: ids `0..<records`, rounded up to whole batches, loaded with BATCH_WRITE or MSET.
struct KeySpace {
    let target: LoadTarget
    let endpoint: Endpoint
    let records: UInt64
    private static let batchCount: UInt64 = 1_000

    /// Loads the records unless the last of them is there already.
    func load() throws {
        if try isLoaded() { return }
        guard let batch = Workload.named("batch") else { return }
        var plan = LoadPlan()
        plan.connections = 4
        plan.depth = 2
        plan.warmUpNanoseconds = 0
        plan.durationNanoseconds = 86_400_000_000_000
        plan.batchCount = Self.batchCount
        plan.requests = (records + Self.batchCount - 1) / Self.batchCount
        let result = try LoadRun(target: target, endpoint: endpoint, plan: plan, workload: batch).run()
        if let problem = result.failure ?? result.tally.firstProblem {
            throw LoadFailure(description: "loading \(records) records failed: \(problem) (--drop starts the collection anew)")
        }
        let seconds = Double(result.tally.elapsedNanoseconds) / 1e9
        let loaded = result.tally.completed * Self.batchCount
        Console.note(
            "loaded \(Console.grouped(loaded)) records in \(Console.fixed(seconds, 2)) s = "
                + "\(Console.grouped(UInt64(Double(loaded) / max(seconds, 1e-9))))/s")
    }

    /// Drops the collection; one that does not exist is fine. Nothing for Redis.
    func drop() throws(ClientError) {
        guard case .nexa(let options, let requests, _) = target else { return }
        let connection = try ClientConnection.open(endpoint, options)
        do throws(ClientError) {
            _ = try connection.request(.dropCollection, Self.names(requests))
        } catch .refused(let refusal) where refusal.code == "NO_SUCH_COLLECTION" || refusal.code == "NO_SUCH_DATABASE" {
            return
        }
    }

    private func isLoaded() throws(ClientError) -> Bool {
        guard case .nexa(let options, let requests, _) = target else { return false }
        let connection = try ClientConnection.open(endpoint, options)
        let rounded = (records + Self.batchCount - 1) / Self.batchCount * Self.batchCount
        guard case .map(let names) = Self.names(requests) else { return false }
        do throws(ClientError) {
            let key = MessagePackValue.string(BenchRecord.key(of: rounded - 1))
            return try connection.request(.read, .map(names + [.init("key", key)])).type == .success
        } catch .refused(let refusal) where refusal.code == "NO_SUCH_COLLECTION" || refusal.code == "NO_SUCH_DATABASE" {
            return false
        }
    }

    private static func names(_ requests: NexaDialect.Options) -> MessagePackValue {
        ["database": .string(requests.database), "collection": .string(requests.collection)]
    }
}
