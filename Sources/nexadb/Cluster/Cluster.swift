import ArgumentParser
import Glibc
import NexaBlockingClient
import NexaShell
import NexaWire

/// `nexadb cluster`: looks at several nodes together.
struct Cluster: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at the nodes of a cluster.",
        subcommands: [ClusterStatus.self, ClusterLag.self, ClusterSlots.self, ClusterVerify.self, ClusterAddFollower.self])
}

/// `nexadb cluster status`: one row a node.
struct ClusterStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Role, epoch, position and lag of each node.",
        discussion: """
            EXAMPLES
              nexadb cluster status 127.0.0.1:6970 127.0.0.1:6972 127.0.0.1:6974
              nexadb cluster status db1 db2 db3 --watch 1

            EXIT CODES  0 one of them leads and all answer, 1 otherwise.
            """)

    @Argument(help: "HOST:PORT of the nodes.") var nodes: [NodeAddress]
    @Option(help: "Seconds between two looks; without, one look.") var watch: Double?
    @Option(help: "Seconds to wait for a node.") var timeout: Double = 3

    func validate() throws {
        guard !nodes.isEmpty else { throw ValidationError("name the nodes: HOST:PORT ...") }
    }

    func run() throws {
        while true {
            let rows = nodes.map { ClusterRow($0, timeout: timeout) }
            let newest = rows.compactMap(\.end).max() ?? 0
            if watch != nil, Console.isOutputTerminal { print("\u{1B}[2J\u{1B}[H", terminator: "") }
            for line in ClusterRow.table(rows, newest: newest) { Console.say(line) }
            guard let watch else {
                if rows.contains(where: { $0.failure != nil }) || rows.count(where: { $0.role == "leader" }) != 1 {
                    throw ToolExit.failed
                }
                return
            }
            usleep(UInt32(max(0.1, min(watch, 3_600)) * 1e6))
        }
    }
}

/// One node in the table.
struct ClusterRow {
    var address: String
    var name = "-"
    var role = "-"
    var epoch = "-"
    var end: UInt64?
    var committed = "-"
    var staleness = "-"
    var upstream = "-"
    var failure: String?

    init(_ node: NodeAddress, timeout: Double) {
        address = node.endpoint.description
        do throws(ClientError) {
            let status = try node.connect(timeout: timeout).request(.status).payload
            role = status["role_in_cluster"]?.stringValue ?? "-"
            end = status["engine"]?["durable_lsn"]?.number
            epoch = (status["engine"]?["epoch"]?.number).map { "\($0)" } ?? "-"
            guard let replication = status["replication"] else { return }
            name = replication["name"]?.stringValue ?? "-"
            committed = (replication["committed_lsn"]?.number).map { "\($0)" } ?? "-"
            upstream = role == "leader" ? "-" : replication["leader"]?.stringValue ?? "none"
            if role != "leader", case .double(let seconds)? = replication["staleness_seconds"] {
                staleness = Console.fixed(seconds, 2) + " s"
            }
        } catch {
            failure = error.description
        }
    }

    static func table(_ rows: [ClusterRow], newest: UInt64) -> [String] {
        var cells = [["NODE", "ADDRESS", "ROLE", "EPOCH", "LSN", "BEHIND", "COMMITTED", "STALENESS", "LEADER"]]
        for row in rows {
            let behind = row.end.map { "\(newest - $0)" } ?? "-"
            cells.append([
                row.name, row.address, row.role, row.epoch, row.end.map { "\($0)" } ?? "-", behind, row.committed, row.staleness,
                row.failure ?? row.upstream,
            ])
        }
        return columns(cells)
    }

    /// Pads each column but the last to its widest cell.
    static func columns(_ rows: [[String]]) -> [String] {
        let rows = rows.map { $0.map { TerminalText.visible($0) } }
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { $0.offset + 1 == row.count ? $0.element : Console.left($0.element, widths[$0.offset] + 2) }
                .joined()
        }
    }
}

/// `nexadb cluster lag`: the followers as their leader sees them.
struct ClusterLag: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lag", abstract: "The followers of a node, and how far they are.")

    @Argument(help: "HOST:PORT of the leader, or of a follower that others follow.") var node: NodeAddress
    @Option(help: "Seconds to wait.") var timeout: Double = 5

    func run() throws {
        try ToolExit.guarded {
            let status = try node.connect(timeout: timeout).request(.status).payload
            var rows = [["FOLLOWER", "STATE", "WRITTEN", "DURABLE", "APPLIED", "LAG RECORDS", "LAG BYTES", "LAG", "COUNTS"]]
            for peer in status["replication"]?["followers"]?.arrayValue ?? [] {
                func number(_ field: String) -> String { (peer[field]?.number).map { "\($0)" } ?? "-" }
                var lag = "-"
                if case .double(let seconds)? = peer["lag_seconds"] { lag = Console.fixed(seconds, 3) + " s" }
                rows.append([
                    peer["name"]?.stringValue ?? "-", peer["state"]?.stringValue ?? "-", number("written_lsn"),
                    number("durable_lsn"), number("applied_lsn"), number("lag_records"), number("lag_bytes"), lag,
                    peer["voter"] == .bool(true) ? "yes" : "no",
                ])
            }
            for line in ClusterRow.columns(rows) { Console.say(line) }
        }
    }
}

/// `nexadb cluster slots`: what keeps the log, and dropping of what nobody needs.
struct ClusterSlots: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slots", abstract: "The slots that keep the log for followers; --drop gives one up.")

    @Argument(help: "HOST:PORT of the node.") var node: NodeAddress
    @Option(help: "Drop the slot of this name; its follower must be away.") var drop: String?
    @Option(help: "Seconds to wait.") var timeout: Double = 5

    func run() throws {
        try ToolExit.guarded {
            let connection = try node.administer(timeout: timeout)
            var request: [MessagePackValue.Entry] = [.init("action", .string(drop == nil ? "list" : "drop"))]
            if let drop { request.append(.init("name", .string(drop))) }
            let answer = try connection.request(.slotAdmin, .map(request)).payload
            var rows = [["SLOT", "STATE", "ACTIVE", "NEEDS FROM", "KEEPS", "SAFE", "AWAY"]]
            for slot in answer["slots"]?.arrayValue ?? [] {
                rows.append([
                    slot["name"]?.stringValue ?? "-", slot["state"]?.stringValue ?? "-",
                    slot["active"] == .bool(true) ? "yes" : "no", (slot["restart"]?.number).map { "\($0)" } ?? "-",
                    Console.bytes(slot["retained_bytes"]?.number ?? 0), Console.bytes(slot["safe_bytes"]?.number ?? 0),
                    Console.fixed(Double(slot["away_us"]?.number ?? 0) / 1e6, 1) + " s",
                ])
            }
            for line in ClusterRow.columns(rows) { Console.say(line) }
            if answer["ok"] != .bool(true) {
                Console.complain("there is no such slot, or its follower is connected")
                throw ToolExit.failed
            }
        }
    }
}

extension MessagePackValue {
    /// A non-negative integer.
    var number: UInt64? {
        switch self {
        case .int(let value): UInt64(exactly: value)
        case .uint(let value): value
        default: nil
        }
    }
}
