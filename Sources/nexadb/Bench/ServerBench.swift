import ArgumentParser
import Glibc
import NexaBlockingClient
import NexaShell

/// `nexadb bench`: the load generator.
struct ServerBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Drive a server with load and measure throughput and latency.",
        discussion: """
            Keeps a number of requests in flight on each of a number of connections and measures how long each answer takes, for \
            the given time or number of requests, after a warm-up. The key space (--records) is loaded first where the mix reads. \
            Answers are checked: their type always, their content for one in 128.

            Mixes: get, create, update, mixed (80 % get, 10 % update, 10 % create), query (a key range), scan (a filter over the \
            whole collection), batch (BATCH_WRITE of --batch-size documents), ping, and ycsb-a to ycsb-f. Keys are uniform, and \
            zipfian where YCSB says so. Documents are users of about 60 bytes.

            With --rate requests leave on schedule whatever the server does, and latency counts from the scheduled time: use this \
            to see what users would see. Without it the loop is closed: use that to see how much the server can do.

            --target redis drives a RESP server with the same documents by the same loop: get is GET, create and update are SET of \
            the whole document, batch is MSET.

            With --write-concern N writes are answered when N nodes have them on disk; for redis, SET is followed by WAIT N-1, and both \
            count as one operation.

            EXAMPLES
              nexadb bench                                         reads, 16 connections, 5 seconds
              nexadb bench --mix create -c 64 -d 16                durable creates, 64 connections x 16 in flight
              nexadb bench --mix mixed --rate 20000 --duration 30  latencies at a fixed load
              nexadb bench --mix ycsb-a --json a.json              results for a script
              nexadb bench --target redis --port 6379 --mix get    the peer, driven by the same generator

            EXIT CODES  0 no error, 1 errors in answers or the run failed, 5 the server cannot be reached, 64 wrong use.
            """)

    @OptionGroup var node: NodeOptions

    enum Target: String, ExpressibleByArgument, CaseIterable { case nexa, redis }
    enum Durability: String, ExpressibleByArgument, CaseIterable { case disk, os }
    enum Distribution: String, ExpressibleByArgument, CaseIterable { case uniform, zipfian }

    @Option(help: "What is driven: nexa or redis.") var target: Target = .nexa
    @Option(help: ArgumentHelp("What to do: see above.", valueName: "name")) var mix = "get"
    @Option(name: .shortAndLong, help: "Connections.") var connections = 16
    @Option(name: [.customShort("d"), .customLong("depth")], help: "Requests in flight on each connection.") var depth = 1
    @Option(help: "Threads of the generator; one drives several hundred thousand requests a second.") var threads = 1
    @Option(help: "Seconds to measure.") var duration: Double = 5
    @Option(help: "Stop after this many requests, even before --duration ends.") var requests: UInt64?
    @Option(help: "Seconds of warm-up that are not counted.") var warmUp: Double = 0.5
    @Option(help: "Open loop: requests a second in all.") var rate: Double?
    @Option(help: "Size of the key space that is read and updated.") var records: UInt64 = 100_000
    @Option(help: "Documents of a batch.") var batchSize: UInt64 = 1_000
    @Option(help: "Documents that a query asks for (1 to 100).") var queryLimit: UInt8 = 10
    @Option(help: "How keys are chosen; YCSB mixes have their own.") var distribution: Distribution?
    @Option(help: "Database (NEXA).") var database = "default"
    @Option(help: "Collection (NEXA).") var collection = "bench"
    @Option(help: "Durability that writes ask for: disk or os; the server's default when not given.") var durability: Durability?
    @Option(help: "Nodes that must have a write before its answer; the server's default when not given.") var writeConcern: Int?
    @Flag(help: "Give every create or batch an op_id, so that it could be repeated.") var opID = false
    @Flag(help: "Use the compact form with bound handles instead of maps with names.") var compact = false
    @Flag(help: "Do not load the key space.") var noLoad = false
    @Flag(help: "Load the key space and stop.") var loadOnly = false
    @Flag(help: "Drop the collection before loading.") var drop = false
    @Option(help: "Seed of the random choices: the same seed chooses the same.") var seed: UInt64 = 1
    @Option(help: "First id that creates use; by default one that earlier runs have not used.") var firstID: UInt64?
    @Option(help: "Process id of a server on this machine, to tell its processor time.") var serverPID: Int32?
    @Option(help: ArgumentHelp("Write the results as JSON to this file; - for standard output.", valueName: "file")) var json:
        String?

    func validate() throws {
        guard Workload.named(mix) != nil else {
            throw ValidationError("--mix is one of \(Workload.all.map(\.name).joined(separator: ", "))")
        }
        guard (1...100_000).contains(connections) else { throw ValidationError("--connections is 1 to 100,000") }
        guard (1...10_000).contains(depth) else { throw ValidationError("--depth is 1 to 10,000") }
        guard threads >= 1 && threads <= min(connections, 256) else {
            throw ValidationError("--threads is 1 to the connections, at most 256")
        }
        guard duration > 0 && duration <= 86_400, warmUp >= 0 && warmUp <= 3_600 else {
            throw ValidationError("--duration is up to 86,400 seconds, --warm-up up to 3,600")
        }
        guard (1...1_000_000_000).contains(records) else { throw ValidationError("--records is 1 to 1,000,000,000") }
        guard (1...100_000).contains(batchSize) else { throw ValidationError("--batch-size is 1 to 100,000") }
        guard (1...100).contains(queryLimit) else { throw ValidationError("--query-limit is 1 to 100") }
        if opID && (mix != "create" && mix != "batch" || target != .nexa) {
            throw ValidationError("--op-id goes with --mix create or batch, on nexa")
        }
        if let writeConcern, !(1...64).contains(writeConcern) { throw ValidationError("--write-concern is 1 to 64") }
        if let rate, rate <= 0 || rate > 100_000_000 { throw ValidationError("--rate is more than 0, at most 100,000,000") }
        if requests == 0 { throw ValidationError("--requests is at least 1") }
    }

    func run() throws {
        try ToolExit.guarded {
            let endpoint = try node.endpoint(defaultPort: target == .redis ? 6379 : Endpoint.defaultPort)
            let target = try loadTarget()
            guard var workload = Workload.named(mix) else { return }
            if let distribution { workload.keyChoice = distribution == .zipfian ? .zipfian : .uniform }
            let space = KeySpace(target: target, endpoint: endpoint, records: records)
            if drop { try space.drop() }
            if (workload.readsRecords || loadOnly) && !noLoad { try space.load() }
            if loadOnly { return }
            try measure(
                LoadRun(target: target, endpoint: endpoint, plan: plan(workload), workload: workload, serverPID: serverPID))
        }
    }

    private func measure(_ run: LoadRun) throws {
        let result = try run.run()
        let name = compact ? "\(target.rawValue) (compact)" : target.rawValue
        let report = LoadReport(run: run, targetName: name, result: result)
        if json == "-" {
            Console.say(JSONLayout.pretty(report.json))
        } else {
            Console.say(report.text)
            if let json, !SmallFile.write(JSONLayout.pretty(report.json) + "\n", to: json) {
                throw LoadFailure(description: "cannot write \(json)")
            }
        }
        if let failure = result.failure { throw LoadFailure(description: failure) }
        if result.tally.errors > 0 { throw ToolExit.failed }
        if result.tally.completed == 0 { throw LoadFailure(description: "no request was answered within the time") }
    }

    private func loadTarget() throws -> LoadTarget {
        switch target {
        case .redis: return .redis(replicas: (writeConcern ?? 1) - 1)
        case .nexa:
            var requests = NexaDialect.Options()
            requests.database = database
            requests.collection = collection
            requests.durability = durability?.rawValue
            requests.writeConcern = writeConcern
            requests.namesOperations = opID
            return .nexa(try node.clientOptions(name: "nexadb-bench"), requests, isCompact: compact)
        }
    }

    private func plan(_ workload: Workload) -> LoadPlan {
        var plan = LoadPlan()
        plan.connections = connections
        plan.threads = threads
        plan.depth = depth
        plan.warmUpNanoseconds = UInt64(warmUp * 1e9)
        plan.durationNanoseconds = UInt64(duration * 1e9)
        plan.requests = requests
        plan.rate = rate
        plan.records = records
        plan.firstNewID = firstID ?? Self.unusedID()
        plan.batchCount = batchSize
        plan.queryLimit = workload.name == "ycsb-e" ? 0 : queryLimit
        plan.seed = seed
        return plan
    }

    /// A thousand ids for each millisecond of the clock, above any key space: runs do not create each other's ids.
    private static func unusedID() -> UInt64 {
        (100_000_000 + MonotonicClock.nanoseconds(of: CLOCK_REALTIME) / 1_000_000 % 900_000_000) * 1_000
    }
}
