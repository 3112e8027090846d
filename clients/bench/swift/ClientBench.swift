import Foundation
import NIOPosix
import NexaClient
import Synchronization

/// Measures the Swift client over one connection against a node: `client-bench PORT SECONDS`. Prints one line of JSON per measurement,
/// like its siblings in this folder: {"client", "name", "value", "unit"}.
@main
enum ClientBench {
    struct User: Codable, Sendable {
        var name: String
        var age: Int
        var city: String
        var active: Bool
    }

    static let keyCount = 1000

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3, let port = Int(arguments[1]), let seconds = Double(arguments[2]) else {
            FileHandle.standardError.write(Data("usage: client-bench PORT SECONDS [OPERATION IN_FLIGHT]\n".utf8))
            exit(2)
        }
        let client = try NexaClient("nexadb://127.0.0.1:\(port)/bench")
        let users = client.collection("users", of: User.self)
        let documents = client.collection("users")
        let writer = documents.bulkWriter()
        for number in 0..<keyCount {
            var document = try Document(encoding: User(name: "user \(number)", age: number % 90, city: "Berlin", active: true))
            document["_id"] = .string(key(number))
            try await writer.put(document)
        }
        guard await writer.finish().failureCount == 0 else { throw NexaBenchError.setUp }
        let operations: [(String, Int, @Sendable (Int) async throws(NexaError) -> Void)] = [
            ("get", 1, { number throws(NexaError) in _ = try await documents.get(key(number)) }),
            ("get", 64, { number throws(NexaError) in _ = try await documents.get(key(number)) }),
            ("get, Codable", 64, { number throws(NexaError) in _ = try await users.get(key(number)) }),
            (
                "create", 1,
                { number throws(NexaError) in
                    try await users.insert(User(name: "new", age: number, city: "Rome", active: false))
                }
            ),
            (
                "create", 64,
                { number throws(NexaError) in
                    try await users.insert(User(name: "new", age: number, city: "Rome", active: false))
                }
            ),
            ("query 100", 1, { _ throws(NexaError) in _ = try await documents.query([:], QueryOptions(limit: 100)) }),
        ]
        for (operation, inFlight, body) in operations {
            if arguments.count >= 5, arguments[3] != operation || arguments[4] != "\(inFlight)" { continue }
            _ = try await measure(seconds: min(0.5, seconds / 4), inFlight, body)
            let rate = try await measure(seconds: seconds, inFlight, body)
            let name = "\(operation), \(inFlight) in flight"
            print(#"{"client": "swift", "name": "\#(name)", "value": \#(Int(rate)), "unit": "1/s"}"#)
        }
        client.close()
    }

    enum NexaBenchError: Error { case setUp }

    @Sendable static func key(_ number: Int) -> String { "user-\(number % keyCount)" }

    /// Operations per second of `inFlight` tasks that each do one after the other.
    static func measure(
        seconds: Double, _ inFlight: Int, _ body: @escaping @Sendable (Int) async throws(NexaError) -> Void
    ) async throws -> Double {
        let began = ContinuousClock.now
        let isOver = Flag()
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for task in 0..<inFlight {
                group.addTask {
                    var count = 0
                    while !isOver.isSet {
                        try await body(task * 7919 + count)
                        count += 1
                    }
                    return count
                }
            }
            try await Task.sleep(for: .seconds(seconds))
            isOver.set()
            return try await group.reduce(0, +)
        }
        let (whole, rest) = (ContinuousClock.now - began).components
        return Double(count) / (Double(whole) + Double(rest) / 1e18)
    }

    final class Flag: Sendable {
        private let state = Atomic<Bool>(false)
        var isSet: Bool { state.load(ordering: .relaxed) }
        func set() { state.store(true, ordering: .relaxed) }
    }
}
