import ArgumentParser
import CTerminal
import Glibc
import NexaBlockingClient
import NexaServer
import Synchronization

/// A node as a child process, with its data in a temporary directory. Both are gone after `stop`; however this process ends, the node ends too.
///
/// Sendable: whoever stops it first takes the process id, and who comes later waits until it is gone.
final class DemoNode: Sendable {
    let endpoint: Endpoint
    private let directory: String
    /// Nil when it was stopped.
    private let pid: Mutex<pid_t?>

    private static let startsWithin: Duration = .seconds(30)
    private static let endsWithin: Duration = .seconds(5)

    /// - Parameter signals: one of them, while it starts, ends this process and leaves nothing behind.
    init(heeding signals: HeldSignals) throws {
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
        var signal: Int32?
        guard pid > 0, let endpoint = Self.endpoint(in: log, pid, signals, &signal) else {
            let said = (try? SmallFile.read(log)) ?? ""
            if pid > 0 { Self.end(pid) }
            FileTree.remove(directory)
            if let signal { HeldSignals.end(by: signal) }
            throw Self.failure("the node did not start: \(said)")
        }
        (self.directory, self.endpoint) = (directory, endpoint)
        self.pid = Mutex(pid)
    }

    func stop() {
        pid.withLock { pid in
            guard let running = pid else { return }
            Self.end(running)
            FileTree.remove(directory)
            pid = nil
        }
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

    /// Asks it to end, and insists after a while.
    private static func end(_ pid: pid_t) {
        kill(pid, SIGTERM)
        let deadline = ContinuousClock.now + endsWithin
        while waitpid(pid, nil, WNOHANG) == 0 {
            if ContinuousClock.now > deadline { kill(pid, SIGKILL) }
            usleep(10_000)
        }
    }

    /// Where the node says that it listens; nil when it ended, is silent for too long, or a signal came.
    private static func endpoint(
        in log: String, _ pid: pid_t, _ signals: HeldSignals, _ signal: inout Int32?
    ) -> Endpoint? {
        let deadline = ContinuousClock.now + startsWithin
        while ContinuousClock.now < deadline {
            let words = ((try? SmallFile.read(log)) ?? "").split { " ,\n".contains($0) }
            if let at = words.firstIndex(of: "listening"), at + 3 < words.count {
                return Endpoint(parsing: String(words[at + 2]))
            }
            if hasEnded(pid) { return nil }
            signal = signals.next(withinMilliseconds: 10)
            if signal != nil { return nil }
        }
        return nil
    }

    /// Its id stays its own until `end` has waited for it.
    private static func hasEnded(_ pid: pid_t) -> Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_signo != 0
    }
}
