/// A running node: engine, store, pool, event loops, listeners. Starting goes from the disk up, stopping from the listener down.
///
///     start: lock + recover ─► store ─► pool ─► loops ─► admin port ─► listen ─► door (HTTP)
///     stop:  listener ─► connections and door finish (shutdown-timeout, then cut) ─► pool ─► engine (END record) ─► loops
///
/// Control plane only: nothing here is on a request's path.

import Logging
import NIOCore
import NIOPosix
import NexaDocuments
import NexaReplication
import NexaStorage
import NexaTLS
import Synchronization

package final class NexaNode: Sendable {
    package let context: NodeContext
    private let group: MultiThreadedEventLoopGroup
    private let pool: WorkPool<Executor>
    private let loops: [NIOLoopBound<LoopContext>]
    private let listener: any Channel
    private let admin: AdminListener?
    private let observer: ObserverToken

    /// The port of the NEXA protocol.
    package var port: Int { listener.localAddress?.port ?? 0 }
    /// The admin port, if there is one.
    package var adminPort: Int? { admin?.port }
    /// The event loops, for whoever serves clients of its own on them.
    package var eventLoops: any EventLoopGroup { group }
    /// One for each event loop.
    package var localPorts: [LocalPort] { loops.map { LocalPort($0) } }

    private init(
        context: NodeContext, group: MultiThreadedEventLoopGroup, pool: WorkPool<Executor>, loops: [NIOLoopBound<LoopContext>],
        listener: any Channel, admin: AdminListener?, observer: ObserverToken
    ) {
        self.context = context
        self.group = group
        self.pool = pool
        self.loops = loops
        self.listener = listener
        self.admin = admin
        self.observer = observer
    }

    // MARK: Start

    package static func start(
        _ configuration: ServerConfiguration, logger: Logger, fileSystem: any FileSystem = PosixFileSystem(),
        policy: FlushPolicy = FlushPolicy(), counters: ReplicationCounters = ReplicationCounters()
    ) async throws -> NexaNode {
        try configuration.validate()
        let tls = try configuration.tlsFiles.map { files throws(TLSFailure) in try ServerTLS(files) }
        let context = try openStore(configuration, tls, logger, fileSystem, counters)
        do {
            try configuration.checkExposure(asksForLogIn: context.authenticator.isRequired)
        } catch {
            context.authenticator.stop()
            try? context.engine.close()
            throw error
        }
        let cores = System.coreCount
        let pool = WorkPool<Executor>(
            threadCount: configuration.workerCount > 0 ? configuration.workerCount : max(2, cores), capacity: 65_536
        ) { Executor(node: context, mayBlock: true) }
        let group = MultiThreadedEventLoopGroup(
            numberOfThreads: configuration.loopCount > 0 ? configuration.loopCount : cores)
        do {
            var loops: [NIOLoopBound<LoopContext>] = []
            var ports: [LoopPort] = []
            for eventLoop in group.makeIterator() {
                let (loop, port) = try await eventLoop.submit {
                    let loop = LoopContext(node: context, pool: pool, eventLoop: eventLoop, policy: policy)
                    return (NIOLoopBound(loop, eventLoop: eventLoop), loop.port!)
                }.get()
                loops.append(loop)
                ports.append(port)
            }
            context.changes.connect(ports)
            let observer = context.engine.addDurabilityObserver { [ports] _, error in
                context.noteLog(failed: error != nil)
                for port in ports { port.logMoved() }
            }
            let admin = try await startAdmin(configuration, group, context)
            let listener = try await Listener.start(configuration, group: group, context: context, loops: loops)
            try await context.replication?.start(port: listener.localAddress?.port ?? configuration.port, ports: ports)
            context.tidyCheckpoints(on: group.next(), pool)
            return NexaNode(
                context: context, group: group, pool: pool, loops: loops, listener: listener, admin: admin, observer: observer)
        } catch {
            await context.replication?.stop()
            pool.stop()
            context.authenticator.stop()
            try? context.engine.close()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private static func openStore(
        _ configuration: ServerConfiguration, _ tls: ServerTLS?, _ logger: Logger, _ fileSystem: any FileSystem,
        _ counters: ReplicationCounters
    ) throws -> NodeContext {
        let start = MonotonicTime.nanoseconds()
        logger.info("opening data", metadata: ["data_dir": "\(configuration.dataDirectory)"])
        var options = EngineOptions(memoryByteCount: configuration.memory.value)
        options.defaultDurability = configuration.durability
        options.recoveryProgress = { progress in
            logger.info(
                "replaying the log",
                metadata: [
                    "records": "\(progress.recordCount)", "lsn": "\(progress.lsn)",
                    "mebibytes": "\(progress.readByteCount >> 20) of at most \(progress.totalByteCount >> 20)",
                    "seconds": "\(progress.nanoseconds / 1_000_000_000)",
                ])
        }
        options.retainedSegmentCount = configuration.changeLogByteCount.value.dividedUp(by: options.segmentByteCount)
        options.follows = configuration.replicates
        if configuration.replicates { options.retention[RetentionNames.start] = 1 }
        try ProcessSetup.createDirectories(above: configuration.dataDirectory)
        try ProcessSetup.checkRestored(configuration.dataDirectory, fileSystem)
        let engine = try Engine.open(directory: configuration.dataDirectory, fileSystem: fileSystem, options: options)
        do {
            let store = try DocumentStore(engine: engine, operations: configuration.operationOptions)
            let identity = try NodeIdentity.load(directory: configuration.dataDirectory, fileSystem: fileSystem)
            let milliseconds = (MonotonicTime.nanoseconds() &- start) / 1_000_000
            logger.info("data open", metadata: ["lsn": "\(engine.appliedLSN)", "milliseconds": "\(milliseconds)"])
            if let path = engine.keptTail {
                logger.notice("what only the replaced data had is kept in a rollback file", metadata: ["kept_in": "\(path)"])
            }
            let gate = ReplicationGate(isClustered: configuration.replicates)
            let checkpoints = CheckpointShelf(
                engine: engine, directory: configuration.dataDirectory, fileSystem: fileSystem,
                logByteCountMax: configuration.replicationOptions.slotByteCountMax,
                logAgeMax: configuration.replicationOptions.slotAgeMax)
            let replication =
                configuration.replicates
                ? try ReplicationService(
                    configuration, engine: engine, gate: gate, logger: logger, identity: identity, fileSystem: fileSystem,
                    counters: counters, checkpoints: checkpoints) : nil
            return NodeContext(
                configuration: configuration, store: store, logger: logger, identity: identity, gate: gate,
                replication: replication, checkpoints: checkpoints, tls: tls)
        } catch {
            try? engine.close()
            throw error
        }
    }

    private static func startAdmin(
        _ configuration: ServerConfiguration, _ group: MultiThreadedEventLoopGroup, _ context: NodeContext
    ) async throws -> AdminListener? {
        guard let port = configuration.adminPort else { return nil }
        do {
            return try await AdminListener.start(host: configuration.adminHost, port: port, group: group, source: context)
        } catch {
            throw StartError(
                "cannot listen on admin port \(configuration.adminHost):\(port): \(error) (another port: --admin-port N; none: --admin-port off)"
            )
        }
    }

    /// Reads the certificate's files again, for connections from now on.
    package func reloadTLS() {
        guard let tls = context.tls else { return }
        do throws(TLSFailure) {
            try tls.reload()
            context.logger.notice("certificate read again")
        } catch {
            context.logger.error("the certificate stays as it is", metadata: ["reason": "\(error)"])
        }
    }

    // MARK: Stop

    /// Finishes requests, closes the log with an END record and ends all threads. Answers the error of the engine's close.
    package func stop(door: (any NodeDoor)? = nil) async throws {
        context.beginDraining()
        let deadline = MonotonicTime.nanoseconds() &+ UInt64(context.configuration.shutdownLimit.milliseconds) &* 1_000_000
        try? await listener.close()
        // Beside each other: whoever holds up the one takes no time from the other.
        async let isShut: Void? = door?.close(deadline: deadline)
        await forEachLoop { $0.stopConnections(isForced: false) }
        while context.connectionCount.load(ordering: .acquiring) > 0, MonotonicTime.nanoseconds() < deadline {
            try? await Task.sleep(nanoseconds: 5_000_000)
        }
        _ = await isShut
        await forEachLoop { $0.stopConnections(isForced: true) }
        await admin?.close()
        await context.replication?.stop()
        pool.stop()
        context.checkpoints.removeAll()
        context.authenticator.stop()
        context.engine.removeDurabilityObserver(observer)
        let result = Result { try context.engine.close() }
        try? await group.shutdownGracefully()
        try result.get()
    }

    private func forEachLoop(_ body: @escaping @Sendable (LoopContext) -> Void) async {
        for loop in loops {
            try? await loop.eventLoop.submit { body(loop.value) }.get()
        }
    }
}

extension Int {
    /// The quotient, rounded up.
    fileprivate func dividedUp(by divisor: Int) -> Int { (self + divisor - 1) / divisor }
}

/// Why a node could not start, as a sentence with a way out.
package struct StartError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension NodeContext: AdminSource {
    package func ailment() -> String? {
        let metrics = engine.metrics()
        return metrics.refusal.map { "writes are refused: \($0)" }
            ?? metrics.backgroundFailure.map { "tables cannot be written: \($0)" }
    }

    /// A follower is ready when it has been in touch with its leader.
    package func isReady() -> Bool {
        !isDraining && (replication == nil || isLeader() || stalenessMilliseconds() != nil)
    }

    package func isLeader() -> Bool { gate.leads }

    package func stalenessMilliseconds() -> Int? {
        guard replication != nil, !gate.leads else { return nil }
        return gate.readView(engine, visible: engine.visibleLSN).staleness.map { Int(clamping: $0 / 1000) }
    }
}
