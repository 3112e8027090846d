import Foundation
import NexaClient
import Synchronization

/// A node of the built binary, on a directory of its own, with a client of it.
enum ClientNode {
    /// Starts a node, runs `body`, stops both and removes the data.
    static func run<Result>(
        options: String = "", _ body: (NexaClient, NodeProcess) async throws -> Result
    ) async throws -> Result {
        let node = try NodeProcess()
        defer { node.remove() }
        // The client's time is not for a node that starts.
        try await node.waitUntilListening()
        let client = try NexaClient("nexadb://127.0.0.1:\(node.port)/?\(options)")
        defer { client.close() }
        try await client.ping()
        return try await body(client, node)
    }
}

/// Whether the long tests are to be short: under sanitizers, docs/testing.md.
let isScaleSmall = ProcessInfo.processInfo.environment["NEXA_TEST_SCALE"] == "small"

/// A small generator whose sequence depends on the seed alone (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// The seed of a randomised test: NEXA_TEST_SEED, or a new one. It is printed, so that a failure can be repeated.
func testSeed(_ name: String = #function) -> UInt64 {
    let seed = ProcessInfo.processInfo.environment["NEXA_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: .min ... .max)
    print("\(name): NEXA_TEST_SEED=\(seed)")
    return seed
}

/// What `body` throws; nil when it does not.
func failure(_ body: () async throws -> Void) async -> NexaError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? NexaError ?? NexaError(.server, "another error: \(error)")
    }
}

func temporaryDirectory() -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)").path
}

func remove(_ directory: String) { try? FileManager.default.removeItem(atPath: directory) }

/// Set once, seen by all tasks.
final class Flag: Sendable {
    private let state = Atomic<Bool>(false)
    var isSet: Bool { state.load(ordering: .relaxed) }
    func set() { state.store(true, ordering: .relaxed) }
}
