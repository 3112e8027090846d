// The door of replication for the rest of the node: made with the store, started when the node listens, stopped before the engine closes.
// Owns the replication loop, the thread that changes the log, and the shell that lives on the loop.
//
// Sendable: what it holds is immutable or confined to the loop; other threads only post to it. `logMoved` is called by the thread with
// the log role for each commit group: one flag, and at most one wake-up under way, whatever the number of followers.

import Logging
import NIOCore
import NIOPosix
import NexaReplication
import NexaStorage
import NexaTLS
import NexaWire
import Synchronization

/// What the shell shares with the node.
struct ReplicationParts: Sendable {
    let engine: Engine
    let gate: ReplicationGate
    let logger: Logger
    let directory: String
    let fileSystem: any FileSystem
    let identity: NodeIdentity
    let counters: ReplicationCounters
    let compression: ReplicationCompression
    /// What this node logs in with at others.
    let logIn: NodeLogIn?
    /// Nil: it speaks plaintext to them.
    let tls: ClientTLS?
    let checkpoints: CheckpointShelf
}

/// The user that this node is to others.
package struct NodeLogIn: Sendable {
    package let user: String
    package let password: String

    /// Nil where none is configured.
    package init?(_ configuration: ServerConfiguration) throws(StartError) {
        guard let user = configuration.replicationUser, let path = configuration.replicationPasswordFile else { return nil }
        guard let password = ProcessSetup.readFile(path).map(ProcessSetup.firstLine), !password.isEmpty else {
            throw StartError("replication-password-file: no password can be read from \(path)")
        }
        self.user = user
        self.password = password
    }
}

/// Names under which the engine keeps its log for others.
enum RetentionNames {
    static let slots = "followers"
    /// Held from the open on until the followers had time to come back.
    static let start = "start"
}

package final class ReplicationService: Sendable {
    package var counters: ReplicationCounters { parts.counters }
    private let parts: ReplicationParts
    private let configuration: ServerConfiguration
    private let group: MultiThreadedEventLoopGroup
    private let eventLoop: any EventLoop
    private let isPosted = Atomic<Bool>(false)
    private let restart = NexaLock()
    nonisolated(unsafe) private var restartReason: ReplicationShell.RestartReason?  // guarded by `restart`
    nonisolated(unsafe) private var onRestart: (@Sendable () -> Void)?  // guarded by `restart`
    /// The port listens before the shell is made, because the shell has to know the port: what arrives from there looks here first.
    private let isOpen = Atomic<Bool>(false)
    // Written once by `start`, before `isOpen` and before anything is made here that posts.
    nonisolated(unsafe) private var worker: LogWorker?
    nonisolated(unsafe) private var snapshotThread: LogWorker?
    nonisolated(unsafe) private var shell: NIOLoopBound<ReplicationShell>?
    nonisolated(unsafe) private var observer: ObserverToken?

    init(
        _ configuration: ServerConfiguration, engine: Engine, gate: ReplicationGate, logger: Logger, identity: NodeIdentity,
        fileSystem: any FileSystem, counters: ReplicationCounters, checkpoints: CheckpointShelf
    ) throws(StartError) {
        self.configuration = configuration
        parts = ReplicationParts(
            engine: engine, gate: gate, logger: logger, directory: configuration.dataDirectory, fileSystem: fileSystem,
            identity: identity, counters: counters, compression: configuration.replicationCompression,
            logIn: try NodeLogIn(configuration), tls: try Self.tls(configuration), checkpoints: checkpoints)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        eventLoop = group.next()
    }

    private static func tls(_ configuration: ServerConfiguration) throws(StartError) -> ClientTLS? {
        guard configuration.replicationTLS else { return nil }
        let own = configuration.tlsFiles.map { (certificate: $0.certificate, key: $0.key) }
        do throws(TLSFailure) {
            return try ClientTLS(authority: configuration.replicationTLSAuthority, identity: own)
        } catch {
            throw StartError("replication-tls: \(error)")
        }
    }

    // MARK: - Life

    /// Begins to follow or to stand for leader. `port` is where this node listens.
    func start(port: Int, ports: [LoopPort]) async throws {
        let kept = try CoordinationFile.load(directory: parts.directory, fileSystem: parts.fileSystem)
        let setup = makeSetup(port: port, kept: kept)
        let state = try durableState(setup, kept)
        let eventLoop = eventLoop
        let worker = LogWorker(
            engine: parts.engine,
            onProgress: { [weak self] in
                self?.logMoved(nil)
                for port in ports { port.logMoved() }
            }, onFailure: { [weak self] reason in self?.post { $0.handle(.logFailed(reason: reason)) } })
        self.worker = worker
        let snapshotThread = LogWorker(name: "nexa-snapshot", engine: parts.engine, onProgress: {}, onFailure: { _ in })
        self.snapshotThread = snapshotThread
        let parts = parts
        shell = try await eventLoop.submit {
            NIOLoopBound(
                ReplicationShell(
                    setup, state, parts, worker: worker, snapshotThread: snapshotThread, ports: ports, eventLoop: eventLoop
                ) { [weak self] reason in
                    self?.askForRestart(reason)
                }, eventLoop: eventLoop)
        }.get()
        observer = parts.engine.addDurabilityObserver { [weak self] _, error in self?.logMoved(error) }
        let shell = shell
        try await eventLoop.submit {
            // What arrives from here on is queued behind the start.
            self.isOpen.store(true, ordering: .releasing)
            shell?.value.start()
        }.get()
    }

    func stop() async {
        if let observer { parts.engine.removeDurabilityObserver(observer) }
        if let shell { try? await eventLoop.submit { shell.value.stop() }.get() }
        worker?.stop()
        snapshotThread?.stop()
        // What the worker posted last.
        try? await eventLoop.submit {}.get()
        try? await group.shutdownGracefully()
    }

    private func makeSetup(port: Int, kept: CoordinationState?) -> NodeSetup {
        let name = configuration.nodeName ?? parts.identity.id
        let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        let address = configuration.advertise ?? "\(host):\(port)"
        let members =
            configuration.members.isEmpty
            ? [Member(name: name, address: address)] : configuration.members.map { Member(name: $0.name, address: $0.address) }
        var setup = NodeSetup(
            name: name, address: address,
            configuration: ClusterConfiguration(
                members: members, commitQuorum: configuration.commitQuorum > 0 ? configuration.commitQuorum : nil),
            options: configuration.replicationOptions, follow: configuration.follow)
        // Who led last stands up again, whatever it was once told to follow; if somebody leads by now, its peers say so.
        if kept?.promise.leader == setup.id { setup.follow = nil }
        setup.wantsSnapshot = configuration.startsWithSnapshot
        if configuration.replicationCompression != .off { setup.features = [ReplicationFeature.lz4] }
        return setup
    }

    /// What the disk has kept. A node that has no cluster and is to lead founds one.
    private func durableState(_ setup: NodeSetup, _ kept: CoordinationState?) throws -> DurableState {
        try parts.engine.follow()
        let point = parts.engine.durablePoint
        guard let history = NexaReplication.EpochHistory(parts.engine.epochHistory) else {
            throw StartError("the epochs of the log contradict each other: \(parts.engine.epochHistory)")
        }
        // A new store counts as one of epoch 1 before anything is written: no leadership may take that number again.
        var promise = kept?.promise ?? Promise(epoch: 0, leader: nil)
        if promise.epoch < parts.engine.epoch {
            promise = Promise(epoch: parts.engine.epoch, leader: nil, standing: promise.standing)
        }
        let slots = keptSlots()
        var state = DurableState(
            clusterID: kept?.clusterID ?? .none, promise: promise, history: history,
            end: point.lsn, chain: point.chain, oldestLSN: parts.engine.oldestLogLSN ?? point.lsn + 1,
            commitHint: kept?.committed ?? 0, byteCount: slots.map(\.retainedByteCount).max() ?? 0)
        state.slots = slots
        if state.clusterID == .none, setup.follow == nil {
            state.clusterID = ClusterID(high: .random(in: 1 ... .max), low: .random(in: 0 ... .max))
            var founded = kept ?? CoordinationState()
            founded.clusterID = state.clusterID
            state.promise.standing = .founder
            founded.promise.standing = .founder
            try CoordinationFile.store(founded, directory: parts.directory, fileSystem: parts.fileSystem)
        }
        return state
    }

    /// The slots of the last run, with what the log holds for each now.
    private func keptSlots() -> [KeptSlot] {
        do {
            return try SlotFile.load(directory: parts.directory, fileSystem: parts.fileSystem).map { slot in
                var slot = slot
                slot.retainedByteCount = slot.isLost ? 0 : parts.engine.logByteCount(from: slot.restartLSN)
                return slot
            }
        } catch {
            parts.logger.error("the slots are lost", metadata: ["error": "\(error)"])
            return []
        }
    }

    // MARK: - From other threads

    /// Runs `body` on the loop. For what this service made, which did not exist before its shell.
    private func post(_ body: @escaping @Sendable (ReplicationShell) -> Void) {
        guard let shell else { return }
        eventLoop.execute { body(shell.value) }
    }

    private func logMoved(_ error: StorageError?) {
        if let error { return post { $0.handle(.logFailed(reason: "\(error)")) } }
        guard !isPosted.exchange(true, ordering: .acquiringAndReleasing), let shell else { return }
        eventLoop.execute {
            _ = self.isPosted.exchange(false, ordering: .acquiringAndReleasing)
            shell.value.logMoved()
        }
    }

    /// A node says its name and logs in; what is larger is not decoded on an event loop.
    package static let introductionByteCountMax = 16 << 10

    /// Takes a connection over whose CONNECT said that it is for replication. Owns the descriptor from here on. `isWelcome` is asked with
    /// each message: false when the user that it logged in as may not replicate any more. While the node starts, the connection is closed.
    package func adopt(
        _ descriptor: NIOBSDSocket.Handle, hello: UnsafeRawBufferPointer, isWelcome: @escaping @Sendable () -> Bool
    ) {
        guard isOpen.load(ordering: .acquiring), hello.count <= Self.introductionByteCountMax else {
            return DescriptorCloser.close(descriptor)
        }
        let hello = try? MessagePackValue(decoding: hello)
        post { $0.adopt(descriptor, hello: hello, isWelcome: isWelcome) }
    }

    /// Asks where a linearizable read may read; nil when no leader confirmed that it leads, or the node starts or stops. `deadline` is in
    /// microseconds.
    func readIndex(visible: LSN, deadline: Microseconds, _ done: @escaping @Sendable (LSN?) -> Void) {
        guard isOpen.load(ordering: .acquiring) else { return done(nil) }
        post { shell in
            guard !shell.isStopped else { return done(nil) }
            let id = shell.waiters.add(read: done)
            shell.handle(.awaitReadIndex(id, visible: visible, deadline: deadline))
        }
    }

    // MARK: - Restart

    /// Calls `body` when the node has to be stopped and started again, with the engine closed in between.
    func whenRestartIsNeeded(_ body: @escaping @Sendable () -> Void) {
        let isNeeded = restart.withLock {
            onRestart = body
            return restartReason != nil
        }
        if isNeeded { body() }
    }

    var neededRestart: ReplicationShell.RestartReason? { restart.withLock { restartReason } }

    private func askForRestart(_ reason: ReplicationShell.RestartReason) {
        let body = restart.withLock {
            restartReason = reason
            return onRestart
        }
        body?()
    }
}
