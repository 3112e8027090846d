import ArgumentParser
import NexaBlockingClient
import NexaWire

/// `nexadb promote`: makes a follower the leader.
struct Promote: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a follower the leader of its cluster.",
        discussion: """
            The node asks the members to promise that they listen to no older leader; when enough of them have, and none of these has \
            more of the log than it, it begins a new epoch and takes writes. The old leader ends its leadership when it hears of the \
            new epoch, and can confirm no majority write until then. docs/operations.md tells when to use which node.

            EXAMPLES
              nexadb promote 127.0.0.1:6972
              nexadb promote db2:6970 --accept-loss   (the others are gone for good)

            EXIT CODES  0 it leads, 1 it was not promoted, 5 the node cannot be reached.
            """)

    @Argument(help: "HOST:PORT of the follower.") var node: NodeAddress
    @Flag(help: "Go on with the members that answer. Acknowledged writes may be lost.") var acceptLoss = false
    @Option(help: "Seconds to wait.") var timeout: Double = 20

    func run() throws {
        try ToolExit.guarded {
            let connection = try node.administer(timeout: timeout)
            do throws(ClientError) {
                let answer = try connection.request(.promote, .map([.init("force", .bool(acceptLoss))])).payload
                let epoch = answer["epoch"].map { JSONText.write($0) } ?? "?"
                Console.say("\(answer["name"]?.stringValue ?? "the node") leads epoch \(epoch)")
            } catch {
                guard case .refused = error else { throw error }
                Console.complain(error.description)
                throw ToolExit.failed
            }
        }
    }
}
