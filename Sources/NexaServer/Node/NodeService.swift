/// A node as a service: runs until it is asked to stop, then stops in order. A node that has to change its log while the engine is
/// closed (cut it back, swap a snapshot in) is stopped, changed and started again, in the same process and on the same ports.

import Logging
import NexaStorage
import ServiceLifecycle
import UnixSignals

package struct NodeService: Service {
    package let configuration: ServerConfiguration
    package let logger: Logger
    package let openDoor: NodeDoorOpener
    /// Called once the node listens; not again when it starts again.
    package let onStart: @Sendable (NexaNode, (any NodeDoor)?) -> Void

    package init(
        configuration: ServerConfiguration, logger: Logger, openDoor: @escaping NodeDoorOpener = { _ in nil },
        onStart: @escaping @Sendable (NexaNode, (any NodeDoor)?) -> Void
    ) {
        self.configuration = configuration
        self.logger = logger
        self.openDoor = openDoor
        self.onStart = onStart
    }

    package func run() async throws {
        var configuration = configuration
        // Counted over all starts of this process.
        let counters = ReplicationCounters()
        var (node, door) = try await start(configuration, counters)
        onStart(node, door)
        configuration.port = node.port
        if let port = node.adminPort { configuration.adminPort = port }
        if let door { configuration.httpPort = .number(door.port) }
        while let restart = await Self.end(of: node) {
            logger.notice("starting again", metadata: ["reason": "\(restart)"])
            try await node.stop(door: door)
            configuration.follow = restart.upstream ?? configuration.follow
            configuration.startsWithSnapshot = try LogChange.perform(restart, configuration, logger, counters)
            (node, door) = try await start(configuration, counters)
        }
        logger.info("stopping")
        try await node.stop(door: door)
        logger.info("stopped")
    }

    private func start(
        _ configuration: ServerConfiguration, _ counters: ReplicationCounters
    ) async throws -> (NexaNode, (any NodeDoor)?) {
        let node = try await NexaNode.start(configuration, logger: logger, counters: counters)
        do {
            return (node, try await openDoor(node))
        } catch {
            try? await node.stop()
            throw error
        }
    }

    /// Returns when the node is to stop: with a reason when it is to start again, nil when it is asked to end.
    private static func end(of node: NexaNode) async -> ReplicationShell.RestartReason? {
        let reloading = node.context.tls.map { _ in
            Task {
                for await _ in await UnixSignalsSequence(trapping: .sighup) { node.reloadTLS() }
            }
        }
        defer { reloading?.cancel() }
        let (restarts, continuation) = AsyncStream<Void>.makeStream()
        node.context.replication?.whenRestartIsNeeded { continuation.yield() }
        return await withGracefulShutdownHandler {
            // Also when the task is cancelled, the log is to be closed in order.
            await withTaskCancellationHandler {
                for await _ in restarts { return node.context.replication?.neededRestart }
                return nil
            } onCancel: {
                continuation.finish()
            }
        } onGracefulShutdown: {
            continuation.finish()
        }
    }

    /// Runs the node until SIGTERM or SIGINT.
    package static func runUntilSignalled(_ service: NodeService) async throws {
        var quiet = service.logger
        quiet.logLevel = .error
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }
}
