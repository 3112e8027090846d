import ArgumentParser
import CTerminal
import Glibc
import NexaBlockingClient
import NexaServer

/// A node as a child process, with its data in a temporary directory. Both are gone after `stop`; however this process ends, the node ends too.
final class DemoNode {
    let endpoint: Endpoint
    private let directory: String
    private let pid: pid_t

    private static let startsWithin: Duration = .seconds(30)

    init() throws {
        var template = Array(((NodeOptions.environment("TMPDIR") ?? "/tmp") + "/nexadb-demo-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Self.failure("no temporary directory: \(ClientError.text(of: errno))")
        }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let log = directory + "/log"
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(output) }
        let pid = Self.start(
            [
                "/proc/self/exe", "serve", "--data-dir", directory + "/data", "--host", "127.0.0.1", "--port", "0",
                "--admin-port", "off", "--no-http",
            ],
            output)
        guard pid > 0, let endpoint = Self.endpoint(in: log, pid) else {
            let said = (try? SmallFile.read(log)) ?? ""
            if pid > 0 { Self.end(pid) }
            FileTree.remove(directory)
            throw Self.failure("the node did not start: \(said)")
        }
        (self.directory, self.pid, self.endpoint) = (directory, pid, endpoint)
    }

    func stop() {
        Self.end(pid)
        FileTree.remove(directory)
    }

    private static func failure(_ message: String) -> ExitCode {
        Console.complain(message)
        return ToolExit.failed
    }

    /// Settings of other nodes, and of this shell, are not the node's.
    private static func start(_ arguments: [String], _ output: Int32) -> pid_t {
        let environment = ProcessSetup.environment().filter { !$0.key.hasPrefix("NEXADB_") }
        var words = arguments.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in words + variables { free(pointer) } }
        return nexa_child_start(&words, &variables, output)
    }

    private static func end(_ pid: pid_t) {
        kill(pid, SIGTERM)
        while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
    }

    /// Where the node says that it listens; nil when it ended, or is silent for too long.
    private static func endpoint(in log: String, _ pid: pid_t) -> Endpoint? {
        let deadline = ContinuousClock.now + startsWithin
        while ContinuousClock.now < deadline {
            let words = ((try? SmallFile.read(log)) ?? "").split { " ,\n".contains($0) }
            if let at = words.firstIndex(of: "listening"), at + 3 < words.count {
                return Endpoint(parsing: String(words[at + 2]))
            }
            if waitpid(pid, nil, WNOHANG) == pid { return nil }
            usleep(10_000)
        }
        return nil
    }
}
