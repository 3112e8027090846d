import Foundation
import Glibc

/// The built binary as a process of its own, which can be killed: always on the same port and directory.
final class NodeProcess: @unchecked Sendable {
    let port: Int
    private let directory: String
    private let arguments: [String]
    private var process = Process()

    /// NEXADB_BIN, or what lies beside the test executable.
    private static let binary: URL = {
        if let path = ProcessInfo.processInfo.environment["NEXADB_BIN"] { return URL(fileURLWithPath: path) }
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return own.deletingLastPathComponent().appendingPathComponent("nexadb")
    }()

    /// On `port`, or a free one.
    init(port: Int = freePort(), arguments: [String] = []) throws {
        directory = temporaryDirectory()
        self.arguments = arguments
        self.port = port
        try start()
    }

    /// Runs the binary as a tool; answers its exit status.
    static func tool(_ arguments: String...) async throws -> Int32 {
        let process = Process()
        process.executableURL = binary
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("NEXADB_") }
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        return try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
    }

    func start() throws {
        process = Process()
        process.executableURL = Self.binary
        // To a node, what begins with NEXADB_ is a setting.
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("NEXADB_") }
        process.arguments =
            ["serve", "--data-dir", directory, "--port", "\(port)", "--admin-port", "off", "--memory", "64MiB"] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// Until the port takes connections.
    func waitUntilListening() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while !isListening() {
            guard ContinuousClock.now < deadline else { throw CocoaError(.executableLoad) }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func isListening() -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    /// SIGKILL: nothing is finished, nothing is said.
    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// SIGSTOP, until `thaw`: connections stay, and nothing is answered.
    func freeze() { Glibc.kill(process.processIdentifier, SIGSTOP) }
    func thaw() { Glibc.kill(process.processIdentifier, SIGCONT) }

    func remove() {
        kill()
        try? FileManager.default.removeItem(atPath: directory)
    }

    static func freePort() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = bind(descriptor, address, length)
                getsockname(descriptor, address, &length)
            }
            return Int(UInt16(bigEndian: pointer.pointee.sin_port))
        }
    }
}
