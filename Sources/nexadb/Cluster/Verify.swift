import ArgumentParser
import NexaBlockingClient
import NexaReplication
import NexaStorage
import NexaWire

/// `nexadb cluster verify`: whether all nodes hold the same.
struct ClusterVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compare what the nodes hold, collection by collection, at one position.",
        discussion: """
            The leader names a position in the log; every node holds on to its state there and hashes all of it. The nodes go on serving; \
            each reads all of its data once. Until it is done a node keeps on disk what that state shows.

            EXAMPLES
              nexadb cluster verify db1:6970 db2:6970 db3:6970

            EXIT CODES  0 all are equal, 1 they differ, or a node could not say, 5 a node cannot be reached.
            """)

    @Argument(help: "HOST:PORT of the nodes.") var nodes: [NodeAddress]
    @Option(help: "Seconds that a follower may take to come to the position.") var wait: Double = 30
    @Option(help: "Seconds to wait for a sign of life.") var timeout: Double = 60
    @Flag(help: "List the equal collections, too, however many they are.") var all = false
    @Flag(help: "One JSON object.") var json = false

    static let attemptCountMax = 5
    static let rowCountMax = 40

    func validate() throws {
        guard nodes.count > 1 else { throw ValidationError("name at least two nodes: HOST:PORT ...") }
    }

    func run() throws {
        try ToolExit.guarded {
            for attempt in 1... {
                do throws(VerifyFailure) {
                    let (lsn, comparison) = try VerifySession(nodes, wait: wait, timeout: timeout).run()
                    show(lsn, comparison)
                    guard comparison.isEqual else { throw .differs }
                    return
                } catch {
                    switch error {
                    case .differs: throw ToolExit.failed
                    case .client(let error): throw error
                    case .node(let name, let reason, let mayTryAgain):
                        if mayTryAgain && attempt < Self.attemptCountMax { continue }
                        Console.complain("\(name): \(reason)")
                        throw ToolExit.failed
                    }
                }
            }
        }
    }

    private func show(_ lsn: UInt64, _ comparison: ContentComparison) {
        if json { return Console.say(JSONText.write(value(lsn, comparison))) }
        let names = comparison.reports.map(\.node)
        var cells = [["COLLECTION", "ENTRIES"] + names]
        let shown = all || comparison.rows.count <= Self.rowCountMax ? comparison.rows : comparison.differences
        for row in shown {
            cells.append(
                [row.identity.text, row.hashes[0].map { Console.grouped($0.entryCount) } ?? "-"]
                    + row.hashes.map { hash in
                        guard let hash else { return "missing" }
                        if hash == row.hashes[0] { return String(hash.sum ^ hash.exclusiveOr, radix: 16) }
                        return "DIFFERS (\(Console.grouped(hash.entryCount)))"
                    })
        }
        for line in ClusterRow.columns(cells) { Console.say(line) }
        for name in comparison.otherLogs { Console.say("the log of \(name) is another one at LSN \(lsn)") }
        if comparison.isEqual {
            Console.say("equal: \(names.joined(separator: ", ")) at LSN \(lsn), \(comparison.rows.count) collections")
        } else {
            let texts = comparison.differences.map(\.identity.text)
            Console.say("NOT EQUAL at LSN \(lsn): \(texts.isEmpty ? "the logs" : texts.joined(separator: ", "))")
        }
    }

    private func value(_ lsn: UInt64, _ comparison: ContentComparison) -> MessagePackValue {
        .map([
            .init("equal", .bool(comparison.isEqual)), .init("lsn", .uint(lsn)),
            .init("nodes", .array(comparison.reports.map { .string($0.node) })),
            .init("other_logs", .array(comparison.otherLogs.map { .string($0) })),
            .init(
                "collections",
                .array(
                    comparison.rows.map { row in
                        .map([
                            .init("database", .string(row.identity.database)), .init("name", .string(row.identity.name)),
                            .init("equal", .bool(row.isEqual)),
                            .init("entries", .array(row.hashes.map { $0.map { .uint($0.entryCount) } ?? .null })),
                            .init("hashes", .array(row.hashes.map { $0.map { .string($0.description) } ?? .null })),
                        ])
                    })),
        ])
    }
}

enum VerifyFailure: Error {
    case differs
    case client(ClientError)
    /// A node could not do it.
    case node(String, reason: String, mayTryAgain: Bool)
}

/// One try at one position. Its end closes the connections, and with them the work of the nodes.
struct VerifySession {
    private struct Node {
        var name: String
        var connection: ClientConnection
        var isLeader: Bool
        var cluster: MessagePackValue
    }

    private let addresses: [NodeAddress]
    private let wait: Double
    private let timeout: Double

    init(_ addresses: [NodeAddress], wait: Double, timeout: Double) {
        self.addresses = addresses
        self.wait = wait
        self.timeout = timeout
    }

    func run() throws(VerifyFailure) -> (lsn: UInt64, ContentComparison) {
        var nodes = try open()
        // The one whose position counts comes first.
        if nodes.count(where: \.isLeader) == 1, let leader = nodes.firstIndex(where: \.isLeader) {
            nodes.insert(nodes.remove(at: leader), at: 0)
        } else {
            Console.note("none of the nodes, or more than one, leads: \(nodes[0].name) names the position")
        }
        for node in nodes where node.cluster != nodes[0].cluster {
            Console.note("\(node.name) is of another cluster than \(nodes[0].name)")
        }
        var reports = nodes.map { ContentComparison.Report(node: $0.name) }
        let lsn = try pin(nodes[0], Verify(lsn: nil, wait: 0), &reports[0])
        for node in nodes.dropFirst() { try ask(node, Verify(lsn: lsn, wait: UInt64(wait * 1e6))) }
        for index in nodes.indices.dropFirst() { _ = try pinned(nodes[index], &reports[index]) }
        for index in nodes.indices { try collect(nodes[index], &reports[index]) }
        if Console.isErrorTerminal { ProgressBar.clear() }
        return (lsn, ContentComparison(reports))
    }

    private func open() throws(VerifyFailure) -> [Node] {
        var nodes: [Node] = []
        for address in addresses {
            do throws(ClientError) {
                let connection = try address.administer(timeout: max(timeout, wait + 5))
                let status = try connection.request(.nodeStatus).payload
                nodes.append(
                    Node(
                        name: status["name"]?.stringValue ?? address.endpoint.description, connection: connection,
                        isLeader: status["role"]?.stringValue == "leader", cluster: status["cluster"] ?? .null))
            } catch {
                throw .client(error)
            }
        }
        return nodes
    }

    private func pin(_ node: Node, _ request: Verify, _ report: inout ContentComparison.Report) throws(VerifyFailure) -> UInt64 {
        try ask(node, request)
        return try pinned(node, &report)
    }

    private func ask(_ node: Node, _ request: Verify) throws(VerifyFailure) {
        node.connection.enqueue(.verify, request.value)
        do throws(ClientError) { try node.connection.flush() } catch { throw .client(error) }
    }

    private func pinned(_ node: Node, _ report: inout ContentComparison.Report) throws(VerifyFailure) -> UInt64 {
        let progress = try next(node)
        guard progress.state == .pinned else { throw .node(node.name, reason: "unexpected answer", mayTryAgain: false) }
        report.epoch = progress.epoch
        report.chain = progress.chain
        return progress.lsn
    }

    private func collect(_ node: Node, _ report: inout ContentComparison.Report) throws(VerifyFailure) {
        while true {
            let progress = try next(node)
            switch progress.state {
            case .done: return
            case .collections: report.add(progress.collections)
            case .hashing:
                guard Console.isErrorTerminal else { continue }
                let (entries, bytes) = (Console.grouped(progress.entryCount), Console.bytes(progress.byteCount))
                ProgressBar.draw("\(node.name): \(entries) entries, \(bytes)")
            case .pinned, .failed: throw .node(node.name, reason: "unexpected answer", mayTryAgain: false)
            }
        }
    }

    private func next(_ node: Node) throws(VerifyFailure) -> VerifyReply {
        let reply: Reply
        do throws(ClientError) { reply = try node.connection.receive() } catch { throw .client(error) }
        if reply.type == .replStop {
            let reason = reply.payload["message"]?.stringValue ?? ""
            throw .node(node.name, reason: "it ended the connection: \(reason)", mayTryAgain: false)
        }
        guard reply.type == .verifyProgress, let progress = try? VerifyReply(payload: reply.payload) else {
            throw .node(node.name, reason: "unexpected answer \(reply.type.name)", mayTryAgain: false)
        }
        if progress.state == .failed {
            throw .node(node.name, reason: progress.reason, mayTryAgain: progress.mayTryAgain)
        }
        return progress
    }
}
