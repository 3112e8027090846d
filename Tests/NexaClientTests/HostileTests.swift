import Foundation
import NexaClient
import Testing

/// clients/conformance/hostile.json: a node that misbehaves. Every failure has its name, in its time; nothing is left open.
@Suite(.serialized) struct HostileTests {
    @Test func everySharedCaseEndsByNameAndInTime() async throws {
        let cases = try conformanceFile("hostile.json")
        #expect(cases.count > 40)
        let before = residentByteCount()
        // Each case has its own node; several at a time, because most of them are about waiting.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, entry) in cases.enumerated() {
                guard case .document(let test) = entry else { continue }
                if index >= 6 { try await group.next() }
                group.addTask { try await Self.run(test) }
            }
            try await group.waitForAll()
        }
        #expect(residentByteCount() - before < 64 << 20)
    }

    /// All times of the file are for a machine of one's own; these cases share two cores with each other and with who knows what.
    private static let slowness = 4

    private static func run(_ test: Document) async throws {
        let name = test["name"]?.stringValue ?? "?"
        let scenario = test["scenario"]?.stringValue ?? ""
        let node = try await offPool { try HostileNode(scenario) }
        defer { node.stop() }
        let options = (test["options"]?.documentValue?.entries ?? [])
            .filter { $0.0 != "username" && $0.0 != "password" }
            .map { "\($0)=\($1.intValue.map { String($0 * slowness) } ?? $1.stringValue ?? "")" }
        let client = try NexaClient("nexadb://127.0.0.1:\(node.port)/?\(options.joined(separator: "&"))") { configuration in
            configuration.username = test["options"]?.documentValue?["username"]?.stringValue
            configuration.password = test["options"]?.documentValue?["password"]?.stringValue
        }
        for (index, step) in (test["steps"]?.arrayValue ?? []).compactMap(\.documentValue).enumerated() {
            let place = "\(name), step \(index)"
            let began = ContinuousClock.now
            let outcome = await failure { try await perform(step, client) }
            let took = ContinuousClock.now - began
            let limit = Duration.milliseconds((step["within"]?.intValue ?? 0) * slowness + 1000)
            #expect(took < limit, "\(place) took \(took)")
            let kinds = step["kinds"]?.arrayValue?.compactMap(\.stringValue) ?? []
            if let error = outcome {
                #expect(kinds.contains(error.kind.rawValue), "\(place): \(error)")
            } else {
                #expect(step["answered"] == true || kinds.isEmpty, "\(place) did not fail")
            }
        }
        client.close()
        var state = try await offPool { try node.state() }
        let limit = ContinuousClock.now + .seconds(2)
        while state.open > 0, ContinuousClock.now < limit {
            try await Task.sleep(for: .milliseconds(20))
            state = try await offPool { try node.state() }
        }
        #expect(state.open == 0, "\(name): a connection was left open")
        if let most = test["requestsAtMost"]?.intValue { #expect(state.requests <= most, "\(name): \(state.requests) requests") }
    }

    private static func perform(_ step: Document, _ client: NexaClient) async throws {
        switch step["op"]?.stringValue {
        case "get": _ = try await client.get("c", "k")
        case "create": try await client.create("c", ["n": 1])
        case "query": _ = try await client.query("c")
        case "find":
            var count = 0
            for try await _ in client.collection("c").find() {
                count += 1
                if count == step["take"]?.intValue { break }
            }
        default: Issue.record("the runner does not know the operation \(step["op"] ?? .null)")
        }
    }

    private func residentByteCount() -> Int {
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").dropFirst().first
        return (pages.flatMap { Int($0) } ?? 0) * 4096
    }
}

/// clients/conformance/hostile.py with one scenario, as a process of its own. Used by one task at a time, hence `@unchecked
/// Sendable`; its calls block, so they do not run on Swift's thread pool.
private final class HostileNode: @unchecked Sendable {
    let port: Int
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var buffered = Data()

    init(_ scenario: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", ConnectionStringTests.conformance.appendingPathComponent("hostile.py").path, scenario]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var text = ""
        while !text.contains("\n") {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw NexaError(.server, "hostile.py has no scenario '\(scenario)'") }
            text += String(decoding: more, as: UTF8.self)
        }
        port = Int(text.split(whereSeparator: \.isWhitespace).last ?? "") ?? 0
    }

    func state() throws -> (open: Int, requests: Int) {
        try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
        var line = Data()
        while line.last != 0x0A {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw NexaError(.server, "hostile.py has ended") }
            line += more
        }
        struct State: Decodable { let open, requests: Int }
        let state = try JSONDecoder().decode(State.self, from: line)
        return (state.open, state.requests)
    }

    func stop() {
        try? input.fileHandleForWriting.close()
        process.terminate()
    }
}

/// Runs what blocks on a thread that may be blocked.
private func offPool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}
