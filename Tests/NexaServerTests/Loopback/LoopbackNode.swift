import Foundation
import Logging
import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire

/// A node in a directory of its own. Clients block the thread of their test: what they wait for never runs on Swift's thread pool,
/// but on the node's own loops and threads.
enum LoopbackNode {
    /// Starts a node, runs `body` with its port, stops the node and removes its data.
    static func run<Result>(
        _ configure: (inout ServerConfiguration) -> Void = { _ in }, policy: FlushPolicy = FlushPolicy(),
        fileSystem: any FileSystem = PosixFileSystem(), _ body: (Int) throws -> Result
    ) async throws -> Result {
        try await withNode(configure, policy: policy, fileSystem: fileSystem) { try body($0.port) }
    }

    /// The same for tests that look at the node itself.
    static func withNode<Result>(
        _ configure: (inout ServerConfiguration) -> Void = { _ in }, policy: FlushPolicy = FlushPolicy(),
        fileSystem: any FileSystem = PosixFileSystem(), _ body: (NexaNode) throws -> Result
    ) async throws -> Result {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let node = try await start(directory.path, configure, policy: policy, fileSystem: fileSystem)
        let result = await Swift.Result.catching { try body(node) }
        try await node.stop()
        return try result.get()
    }

    static func start(
        _ directory: String, _ configure: (inout ServerConfiguration) -> Void = { _ in }, policy: FlushPolicy = FlushPolicy(),
        fileSystem: any FileSystem = PosixFileSystem()
    ) async throws -> NexaNode {
        var configuration = ServerConfiguration()
        configuration.dataDirectory = directory
        configuration.port = 0
        configuration.adminPort = nil
        configuration.memory = ByteCount(64 << 20)
        configuration.loopCount = 2
        configuration.workerCount = 2
        configure(&configuration)
        return try await NexaNode.start(
            configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, fileSystem: fileSystem,
            policy: policy)
    }
}

extension Swift.Result where Failure == any Error {
    static func catching(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}

/// Bytes from hexadecimal digits, as the captured exchanges are written.
func hex(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Substring(text)
    while rest.count >= 2 {
        bytes.append(UInt8(rest.prefix(2), radix: 16)!)
        rest = rest.dropFirst(2)
    }
    return bytes
}

extension MessagePackValue {
    /// Names of the fields of a map, in order.
    var fieldNames: [String] { mapValue?.map { $0.key.stringValue ?? "?" } ?? [] }
}
