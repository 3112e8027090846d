import ArgumentParser
import Glibc
import NexaBlockingClient
import NexaWire

/// `nexadb ping`: whether a node answers, and how fast.
struct Ping: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a node whether it answers, and how fast.",
        discussion: """
            Connects, introduces itself and sends PING. With --wait it tries again until the node answers or the time is over: scripts \
            use that to wait for a node that is starting.

            EXAMPLES
              nexadb ping
              nexadb ping --host db1 --count 5
              nexadb ping --wait 30 && nexadb shell -e 'status'

            EXIT CODES  0 it answers, 5 it does not.
            """)

    @OptionGroup var node: NodeOptions
    @Option(name: .shortAndLong, help: "How many pings.") var count = 1
    @Option(help: "Seconds between pings.") var interval: Double = 1
    @Option(help: "Seconds to go on trying when the node does not answer.") var wait: Double = 0
    @Flag(name: .shortAndLong, help: "Say nothing; the exit code tells.") var quiet = false

    func validate() throws {
        guard count >= 1, interval >= 0 && interval <= 3_600, wait >= 0 && wait <= 86_400 else {
            throw ValidationError("--count is at least 1, --interval up to 3,600 and --wait up to 86,400 seconds")
        }
    }

    func run() throws {
        try ToolExit.guarded {
            let connection = try connect()
            for index in 0..<count {
                if index > 0 { usleep(UInt32(interval * 1e6)) }
                let start = MonotonicClock.nanoseconds()
                let reply = try connection.request(.ping)
                let milliseconds = Double(MonotonicClock.nanoseconds() - start) / 1e6
                guard reply.type == .pong else { throw ClientError.protocolViolation("\(reply.type.name) answers no PING") }
                if !quiet { Console.say("PONG from \(connection.endpoint) in \(Console.fixed(milliseconds, 3)) ms") }
            }
        }
    }

    /// Connects, again and again while `--wait` allows.
    private func connect() throws -> ClientConnection {
        let endpoint = try node.endpoint()
        let options = try node.clientOptions(name: "nexadb-ping")
        let deadline = ContinuousClock.now + .seconds(wait)
        while true {
            do throws(ClientError) {
                return try ClientConnection.open(endpoint, options)
            } catch {
                guard ToolExit.code(for: error) == ToolExit.unavailable, ContinuousClock.now < deadline else { throw error }
                usleep(100_000)
            }
        }
    }
}
