import ArgumentParser
import Glibc
import NexaBlockingClient
import NexaReplication
import NexaWire

/// `nexadb switchover`: hands leadership over without losing a write.
struct Switch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "switchover", abstract: "Hand the leadership over to a follower, without losing a write.",
        discussion: """
            The leader holds its writes, waits until the follower has the whole log, and lets it take over. Clients get NOT_LEADER for a \
            moment and go to the new leader.

            EXAMPLES
              nexadb switchover 127.0.0.1:6970 --to n2

            EXIT CODES  0 handed over, 1 the leader goes on, 5 the node cannot be reached.
            """)

    @Argument(help: "HOST:PORT of the leader.") var node: NodeAddress
    @Option(help: "Name of the follower that is to lead.") var to: String
    @Option(help: "Seconds that writes may be held.") var timeout: Double = 5

    func run() throws {
        try ToolExit.guarded {
            let connection = try node.administer(timeout: timeout + 15)
            connection.enqueue(
                .switchover,
                .map([
                    .init("target", .uint(NodeID(name: to).rawValue)),
                    .init("timeout_us", .uint(UInt64(max(0.1, timeout) * 1e6))),
                ]))
            while true {
                let progress = try connection.receive().payload
                let reason = progress["reason"]?.stringValue ?? ""
                switch progress["state"]?.stringValue {
                case "draining": Console.say("writes are held until \(to) has the whole log")
                case "handed_over": Console.say("\(to) has everything and takes over")
                case "done":
                    if followsAnother() {
                        Console.say("done: \(to) leads")
                    } else {
                        Console.say("done here: \(to) takes over, but \(node.endpoint) has not heard from it yet")
                    }
                    return
                default:
                    Console.complain("not handed over: \(reason)")
                    throw ToolExit.failed
                }
            }
        }
    }

    /// Waits until the node that led follows a leader that is open: a moment later than its own fencing, of which "done" tells.
    private func followsAnother() -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if let status = try? node.connect(timeout: 2).request(.status).payload, status["role_in_cluster"] == "follower",
                status["replication"]?["leader"]?.stringValue != nil
            {
                return true
            }
            usleep(20_000)
        }
        return false
    }
}
