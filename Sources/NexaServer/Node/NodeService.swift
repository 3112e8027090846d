/// A node as a service: runs until it is asked to stop, then stops in order.

import Logging
import ServiceLifecycle
import UnixSignals

package struct NodeService: Service {
    package let configuration: ServerConfiguration
    package let logger: Logger
    /// Called once the node listens.
    package let onStart: @Sendable (NexaNode) -> Void

    package init(configuration: ServerConfiguration, logger: Logger, onStart: @escaping @Sendable (NexaNode) -> Void) {
        self.configuration = configuration
        self.logger = logger
        self.onStart = onStart
    }

    package func run() async throws {
        let node = try await NexaNode.start(configuration, logger: logger)
        onStart(node)
        // Also when the task is cancelled, the log is to be closed in order.
        try? await gracefulShutdown()
        logger.info("stopping")
        try await node.stop()
        logger.info("stopped")
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
