import ArgumentParser
import Glibc
import NexaBlockingClient
import NexaReplication
import NexaServer
import NexaWire

/// `nexadb cluster add-follower`: all that can be done from here for a node that is to follow.
struct ClusterAddFollower: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-follower", abstract: "Make room for a new follower, say how to start it, and wait until it streams.",
        discussion: """
            Looks whether a node of that name can join, reserves its slot on the leader (so that the log is kept from now on, and a first \
            copy is never too old to go on from), and prints the settings that the new node needs. With --wait it then waits until that \
            node has everything; start it meanwhile. The command may be given again at any time.

            EXAMPLES
              nexadb cluster add-follower db1:6970 --name n4 --address db4:6970 --write n4.conf
              nexadb cluster add-follower db1:6970 --name n4 --address db4:6970 --wait 600

            EXIT CODES  0 ready (with --wait: it streams and has everything), 1 it cannot join, 5 not in time, or no answer.
            """)

    @Argument(help: "HOST:PORT of the leader, or of the follower that is to feed it.") var node: NodeAddress
    @Option(help: "Name of the new node.") var name: String
    @Option(help: "HOST:PORT at which the other nodes and clients will reach it.") var address: NodeAddress
    @Option(help: "Writes the settings to this file, for `nexadb serve --config FILE`.") var write: String?
    @Option(help: "Seconds to wait until it streams and has everything; 0: does not wait.") var wait: Double = 0
    @Option(help: "Seconds to wait for an answer.") var timeout: Double = 5

    func validate() throws {
        guard ClusterMember.isName(name) else { throw ValidationError("'\(name)' is no name for a node") }
    }

    func run() throws {
        try ToolExit.guarded {
            let upstream = try node.connect(timeout: timeout).request(.status).payload
            let peers = upstream["replication"]?["followers"]?.arrayValue ?? []
            let isThere = peers.contains { $0["name"]?.stringValue == name }
            try check(upstream, isThere: isThere)
            if !isThere {
                try reserve()
                try announce(settings(upstream))
            }
            if wait > 0 { try waitUntilItStreams() }
        }
    }

    /// What would keep the node from joining.
    private func check(_ upstream: MessagePackValue, isThere: Bool) throws {
        guard let replication = upstream["replication"] else {
            try refuse("\(node.endpoint) takes no followers: it runs without --node-name")
            return
        }
        let role = replication["role"]?.stringValue ?? ""
        guard role == "leader" || role == "follower" else {
            return try refuse("\(node.endpoint) is \(role) at the moment; try again")
        }
        if replication["name"]?.stringValue == name { try refuse("\(name) is the name of \(node.endpoint) itself") }
        guard !isThere, let other = try? address.administer(timeout: timeout).request(.nodeStatus).payload else { return }
        let mine = try node.administer(timeout: timeout).request(.nodeStatus).payload
        if other["name"]?.stringValue != name {
            try refuse("at \(address.endpoint) runs \(other["name"]?.stringValue ?? "another node")")
        }
        if let cluster = other["cluster"], cluster != mine["cluster"],
            other["end"].map({ $0 != .int(0) && $0 != .uint(0) }) ?? false
        {
            try refuse("\(name) has data of another cluster: it needs an empty data directory")
        }
    }

    private func refuse(_ reason: String) throws {
        Console.complain(reason)
        throw ToolExit.failed
    }

    /// The log is kept for it from here on.
    private func reserve() throws {
        let connection = try node.administer(timeout: timeout)
        func slots(_ action: String) throws -> MessagePackValue {
            try connection.request(.slotAdmin, .map([.init("action", .string(action)), .init("name", .string(name))])).payload
        }
        let known = try slots("list")["slots"]?.arrayValue ?? []
        if let slot = known.first(where: { $0["name"]?.stringValue == name }) {
            Console.say("the slot \(name) is there already, \(slot["state"]?.stringValue ?? "-")")
        } else if try slots("create")["ok"] == .bool(true) {
            Console.say("the slot \(name) keeps the log on \(node.endpoint) from now on")
        } else {
            try refuse("\(node.endpoint) has no room for another slot")
        }
    }

    private func settings(_ upstream: MessagePackValue) -> [(name: String, value: String)] {
        var settings = [
            (name: "node-name", value: name), (name: "follow", value: node.endpoint.description),
            (name: "advertise", value: address.endpoint.description), (name: "port", value: "\(address.endpoint.port)"),
        ]
        if !ServerConfiguration.isLoopback(address.endpoint.host) { settings.append((name: "host", value: "0.0.0.0")) }
        let members = (upstream["replication"]?["members"]?.arrayValue ?? []).map { member in
            "\(member["name"]?.stringValue ?? "")=\(member["address"]?.stringValue ?? "")"
        }
        if !members.isEmpty { settings.append((name: "members", value: members.joined(separator: ","))) }
        return settings
    }

    private func announce(_ settings: [(name: String, value: String)]) throws {
        if let write {
            let text = settings.map { "\($0.name) = \($0.value)\n" }.joined()
            guard let file = fopen(write, "wx") else {
                return try refuse("cannot write \(write): \(ClientError.text(of: errno)); it must not exist yet")
            }
            fputs(text, file)
            fclose(file)
            Console.say("start it: nexadb serve --config \(write)")
        } else {
            let flags = settings.map { "--\($0.name) \($0.value)" }.joined(separator: " ")
            Console.say("start it: nexadb serve \(flags)")
        }
        if settings.contains(where: { $0.name == "members" && !$0.value.contains("\(name)=") }) {
            Console.say("it counts for `w: n`, not for a majority: for that, members has to name it on every node")
        }
    }

    private func waitUntilItStreams() throws {
        let deadline = ContinuousClock.now + .seconds(wait)
        var last = ""
        while true {
            let status = try node.connect(timeout: timeout).request(.status).payload
            let peer = (status["replication"]?["followers"]?.arrayValue ?? []).first { $0["name"]?.stringValue == name }
            var text = "\(name) is not connected"
            if let peer {
                let behind = peer["lag_records"].flatMap(\.number) ?? .max
                let state = peer["state"]?.stringValue ?? "-"
                if state == "streaming" && behind == 0 { return Console.say("\(name) streams and has everything") }
                text = "\(name) is \(state)"
                if state == "streaming" { text += ", \(Console.grouped(behind)) records behind" }
                if state == "preparing", let share = snapshotShare() {
                    text += ", \(Console.fixed(share * 100, 0)) % of the copy"
                }
            }
            if text != last { Console.note(text) }
            last = text
            guard ContinuousClock.now < deadline else {
                Console.complain("not within \(Console.fixed(wait, 0)) s: \(text)")
                throw ToolExit.unavailable
            }
            usleep(200_000)
        }
    }

    /// As the new node itself says.
    private func snapshotShare() -> Double? {
        guard let status = try? address.connect(timeout: timeout).request(.status).payload,
            case .double(let share)? = status["replication"]?["snapshot_progress"]
        else { return nil }
        return share
    }
}
