import Logging
import NIOConcurrencyHelpers
import NIOCore
import NexaWire

/// The nodes that a client knows and its connections to them.
///
/// Invariant: every known node has `poolSize` connections, or is being connected to, or waits out its back-off; so an operation that finds
/// no node only has to wait to be woken. All state is behind one lock that is held for a look, never over I/O. Decisions are
/// `ServerSelection`'s and `BackOff`'s.
package final class Topology: Sendable {
    struct Node {
        let host: HostAddress
        /// Named by the user: never forgotten.
        let isSeed: Bool
        var connections: [Connection] = []
        var connecting = 0
        var role: ServerHello.Role = .other
        var latency = LatencyAverage()
        var failures = 0
        var lastError: NexaError?
    }

    struct State {
        var nodes: [Node]
        var hasStarted = false
        var isClosed = false
        /// Operations that found no node: woken by any change.
        var sleepers: [UInt64: UnsafeContinuation<Void, Never>] = [:]
        var nextSleeper: UInt64 = 0
        var rotation: UInt64 = 0
        var lastRefresh: UInt64 = 0
    }

    /// Nodes that others may tell us of.
    private static let nodeCountMax = 64
    /// A connection that ends before that counts as a failure to connect.
    private static let shortLife = TimeAmount.seconds(1)
    /// A learned node that fails so often is forgotten.
    private static let learnedFailuresMax = 20

    let configuration: ClientConfiguration
    let state: NIOLockedValueBox<State>
    let group: any EventLoopGroup
    private let opener: ConnectionOpener
    let logger: Logger

    init(_ configuration: ClientConfiguration, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.group = group
        self.logger = logger
        opener = ConnectionOpener(configuration)
        state = NIOLockedValueBox(State(nodes: configuration.hosts.map { Node(host: $0, isSeed: true) }))
    }

    // MARK: Choosing

    /// A connection that may serve `need` right now.
    @inline(__always)
    package func choose(_ need: Need) -> Connection? {
        state.withLockedValue { state in
            // The usual case, without a list: one known node, connected.
            if state.nodes.count == 1, state.nodes[0].connections.count == 1, state.nodes[0].role == .primary, need.acceptsPrimary
            {
                return state.nodes[0].connections[0]
            }
            return choose(need, &state)
        }
    }

    private func choose(_ need: Need, _ state: inout State) -> Connection? {
        let connected = state.nodes.indices.filter { !state.nodes[$0].connections.isEmpty }
        guard !connected.isEmpty else { return nil }
        let views = connected.map { index in
            let node = state.nodes[index]
            return NodeView(
                role: node.role, latencyNanoseconds: node.latency.nanoseconds,
                inFlight: node.connections.reduce(0) { $0 + $1.inFlightCount } / node.connections.count)
        }
        let eligible = ServerSelection.eligible(views, for: need, threshold: configuration.localThreshold)
        state.rotation &+= 0x9E37_79B9_7F4A_7C15
        guard let picked = ServerSelection.pick(eligible, views, random: state.rotation >> 17) else { return nil }
        return state.nodes[connected[picked]].connections.min { $0.inFlightCount < $1.inFlightCount }
    }

    /// Waits for a connection that may serve `need`, until `deadline` or as long as looking for one may take.
    func acquire(_ need: Need, deadline: UInt64) async throws(NexaError) -> Connection {
        let began = NIODeadline.now().uptimeNanoseconds
        let limit = min(deadline, began &+ UInt64(configuration.serverSelectionTimeout.nanoseconds))
        while true {
            if let connection = choose(need) { return connection }
            start()
            if Task.isCancelled { throw .cancelled }
            if let refusal = refusal() { throw refusal }
            let now = NIODeadline.now().uptimeNanoseconds
            guard now < limit else {
                throw selectionFailure(need, within: .nanoseconds(Int64(clamping: limit &- min(limit, began))))
            }
            // Roles change without a word: where nodes are there but none of them will do, ask them.
            refreshRoles()
            await sleep(need, until: min(limit, now &+ 200_000_000))
        }
    }

    /// Why waiting is of no use.
    private func refusal() -> NexaError? {
        state.withLockedValue { state in
            if state.isClosed { return NexaError(.connection, "The client was closed") }
            let isHopeless = state.nodes.allSatisfy { $0.connections.isEmpty && $0.lastError?.kind == .authentication }
            return isHopeless ? state.nodes.first?.lastError : nil
        }
    }

    private func selectionFailure(_ need: Need, within time: Duration) -> NexaError {
        let hosts = state.withLockedValue { state in
            state.nodes.map { node in
                let what =
                    node.connections.isEmpty
                    ? node.lastError?.message ?? "connecting"
                    : "connected, \(node.role == .secondary ? "a follower" : "not a leader")"
                return "\(node.host): \(what)"
            }
        }
        return NexaError(
            .serverSelection,
            "No node for \(need) within \(time). \(hosts.joined(separator: "; "))")
    }

    private func sleep(_ need: Need, until deadline: UInt64) async {
        let id = state.withLockedValue { state in
            state.nextSleeper += 1
            return state.nextSleeper
        }
        let timer = group.any().scheduleTask(deadline: .uptimeNanoseconds(deadline)) { [weak self] in self?.wake(id) }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isAwake = state.withLockedValue { state in
                    // Something may have changed since the look of the caller.
                    if Task.isCancelled || state.isClosed || choose(need, &state) != nil { return true }
                    state.sleepers[id] = continuation
                    return false
                }
                if isAwake { return continuation.resume() }
                if Task.isCancelled || deadline <= NIODeadline.now().uptimeNanoseconds { wake(id) }
            }
        } onCancel: {
            wake(id)
        }
        timer.cancel()
    }

    private func wake(_ id: UInt64) {
        state.withLockedValue { $0.sleepers.removeValue(forKey: id) }?.resume()
    }

    private func wakeAll() {
        let sleepers = state.withLockedValue { state in
            let sleepers = state.sleepers
            state.sleepers = [:]
            return sleepers
        }
        for sleeper in sleepers.values { sleeper.resume() }
    }

    // MARK: Connecting

    /// Begins to connect to all known nodes, and to keep it so. Once.
    func start() {
        let isFirst = state.withLockedValue { state in
            guard !state.hasStarted, !state.isClosed else { return false }
            state.hasStarted = true
            return true
        }
        guard isFirst else { return }
        for host in configuration.hosts { connect(host) }
        scheduleHeartbeat()
    }

    /// Opens what is missing of a node's connections.
    private func connect(_ host: HostAddress) {
        let missing = state.withLockedValue { state -> Int in
            guard !state.isClosed, let index = state.nodes.firstIndex(where: { $0.host == host }) else { return 0 }
            let missing = max(0, configuration.poolSize - state.nodes[index].connections.count - state.nodes[index].connecting)
            state.nodes[index].connecting += missing
            return missing
        }
        for _ in 0..<missing {
            let loop = group.next()
            let began = NIODeadline.now()
            opener.open(host, on: loop) { [weak self] connection, error in self?.closed(connection, error) }
                .whenComplete { [weak self] result in
                    guard let self else {
                        if case .success(let connection) = result {
                            connection.close(NexaError(.connection, "The client was closed"))
                        }
                        return
                    }
                    switch result {
                    case .success(let connection):
                        connected(connection, took: (NIODeadline.now() - began).nanoseconds)
                    case .failure(let error):
                        failed(host, error as? NexaError ?? NexaError(.connection, "\(error)"))
                    }
                }
        }
    }

    private func connected(_ connection: Connection, took nanoseconds: Int64) {
        let isWanted = state.withLockedValue { state -> Bool in
            guard !state.isClosed, let index = state.nodes.firstIndex(where: { $0.host == connection.host }) else { return false }
            state.nodes[index].connecting -= 1
            state.nodes[index].connections.append(connection)
            state.nodes[index].role = connection.hello.role
            state.nodes[index].lastError = nil
            // The greeting takes two round trips at least.
            if state.nodes[index].latency.nanoseconds == nil {
                state.nodes[index].latency.add(nanoseconds: UInt64(max(0, nanoseconds)) / 2)
            }
            return true
        }
        guard isWanted else { return connection.close(NexaError(.connection, "The client was closed")) }
        logger.debug("connected", metadata: ["host": "\(connection.host)", "role": "\(connection.hello.role)"])
        if let leader = connection.hello.leader { learn(leader) }
        wakeAll()
    }

    private func failed(_ host: HostAddress, _ error: NexaError) {
        logger.debug("cannot connect", metadata: ["host": "\(host)", "error": "\(error)"])
        state.withLockedValue { state in
            guard let index = state.nodes.firstIndex(where: { $0.host == host }) else { return }
            state.nodes[index].connecting -= 1
            state.nodes[index].failures += 1
            state.nodes[index].lastError = error
            let node = state.nodes[index]
            if !node.isSeed, node.connections.isEmpty, node.failures > Self.learnedFailuresMax { state.nodes.remove(at: index) }
        }
        connectLater(host)
        if error.kind == .authentication { wakeAll() }
    }

    private func closed(_ connection: Connection, _ error: NexaError) {
        logger.debug("connection ended", metadata: ["host": "\(connection.host)", "error": "\(error)"])
        state.withLockedValue { state in
            guard let index = state.nodes.firstIndex(where: { $0.host == connection.host }) else { return }
            state.nodes[index].connections.removeAll { $0 === connection }
            state.nodes[index].lastError = error
            // A node that greets and then closes is no better than one that does not take connections.
            let isShort = NIODeadline.now() - connection.opened < Self.shortLife
            state.nodes[index].failures = isShort ? state.nodes[index].failures + 1 : 0
        }
        connectLater(connection.host)
    }

    /// Connects after the back-off that the node's failures ask for: at once where there are none.
    private func connectLater(_ host: HostAddress) {
        let failures = state.withLockedValue { state in
            state.isClosed ? nil : state.nodes.first { $0.host == host }?.failures
        }
        guard let failures else { return }
        guard failures > 0 else { return connect(host) }
        let delay = BackOff.connecting.delay(failures: failures, random: .random(in: 0..<1))
        group.any().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [weak self] in self?.connect(host) }
    }

    /// Another node was named: connects to it too.
    func learn(_ host: HostAddress) {
        let isNew = state.withLockedValue { state -> Bool in
            guard !state.nodes.contains(where: { $0.host == host }), state.nodes.count < Self.nodeCountMax else { return false }
            state.nodes.append(Node(host: host, isSeed: false))
            return true
        }
        if isNew { connect(host) }
    }

    /// A node refused a write: it is no leader, whatever it said before. Perhaps it named who is.
    func isNotLeader(_ host: HostAddress, leader: HostAddress?) {
        setRole(.secondary, of: host)
        guard let leader, leader != host else { return }
        learn(leader)
    }

    private func setRole(_ role: ServerHello.Role, of host: HostAddress) {
        let isChange = state.withLockedValue { state -> Bool in
            guard let index = state.nodes.firstIndex(where: { $0.host == host }), state.nodes[index].role != role else {
                return false
            }
            state.nodes[index].role = role
            return true
        }
        if isChange { wakeAll() }
    }

    // MARK: Watching

    private func scheduleHeartbeat() {
        group.any().scheduleTask(in: .nanoseconds(configuration.heartbeat.nanoseconds)) { [weak self] in
            guard let self, !state.withLockedValue(\.isClosed) else { return }
            Task { [weak self] in await self?.check() }
            scheduleHeartbeat()
        }
    }

    /// Asks every node for its role unless that was done a moment ago.
    private func refreshRoles() {
        let now = NIODeadline.now().uptimeNanoseconds
        let isDue = state.withLockedValue { state -> Bool in
            guard now >= state.lastRefresh &+ 150_000_000, state.nodes.contains(where: { !$0.connections.isEmpty }) else {
                return false
            }
            state.lastRefresh = now
            return true
        }
        if isDue { Task { [weak self] in await self?.check() } }
    }

    /// Measures the latency of every node and learns its role.
    func check() async {
        let connections = state.withLockedValue { $0.nodes.compactMap(\.connections.first) }
        await withDiscardingTaskGroup { group in
            for connection in connections { group.addTask { await self.check(connection) } }
        }
    }

    private func check(_ connection: Connection) async {
        let limit = NIODeadline.now() + .seconds(2)
        let began = NIODeadline.now()
        let pong = await connection.send(Request(.ping), Attempt(), StandingFields(), deadline: limit.uptimeNanoseconds)
        guard case .reply = pong else { return }
        let took = UInt64(max(0, (NIODeadline.now() - began).nanoseconds))
        state.withLockedValue { state in
            guard let index = state.nodes.firstIndex(where: { $0.host == connection.host }) else { return }
            state.nodes[index].latency.add(nanoseconds: took)
        }
        guard connection.hello.isInCluster else { return }
        let answer = await connection.send(Request(.status), Attempt(), StandingFields(), deadline: limit.uptimeNanoseconds)
        guard case .reply(let reply) = answer, reply.type == .success, let status = try? reply.document() else { return }
        setRole(ServerHello.role(status["role_in_cluster"]?.stringValue), of: connection.host)
        if let leader = ServerHello.address(status["replication"]?.documentValue?["leader"]?.stringValue) { learn(leader) }
    }

    // MARK: The end

    /// Closes all connections; what waits fails. Nothing is done after that.
    func close() {
        let connections = state.withLockedValue { state -> [Connection] in
            guard !state.isClosed else { return [] }
            state.isClosed = true
            return state.nodes.flatMap(\.connections)
        }
        for connection in connections { connection.close(NexaError(.connection, "The client was closed")) }
        wakeAll()
    }

    /// Connections that are open.
    package var connectionCount: Int { state.withLockedValue { $0.nodes.reduce(0) { $0 + $1.connections.count } } }
}

extension Need {
    /// Whether the leader may serve it when it is the only node.
    @inline(__always)
    fileprivate var acceptsPrimary: Bool {
        switch self {
        case .read(.secondary): false
        default: true
        }
    }
}

extension Need: CustomStringConvertible {
    package var description: String {
        switch self {
        case .write: "a write"
        case .read(let preference): "a read (\(preference.rawValue))"
        }
    }
}
