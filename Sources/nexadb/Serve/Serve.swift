// nexadb serve: runs one node until it is told to stop.

import ArgumentParser
import Glibc
import Logging
import NexaGateway
import NexaServer

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a node.",
        discussion: """
            Flags win over NEXADB_* variables (--max-frame is NEXADB_MAX_FRAME), which win over the file of --config \
            ('name = value' lines). A name that is not known is an error in each of them. --print-config shows the result.
            """)

    @Option(help: "Configuration file (also NEXADB_CONFIG).") var config: String?
    @Flag(help: "Print the settings that would be used, and end.") var printConfig = false
    @OptionGroup var settings: ServeSettings

    func run() async throws {
        let configuration: ServerConfiguration
        do {
            configuration = try merged()
        } catch let error as ConfigurationError {
            throw ValidationError(error.description)
        }
        if printConfig {
            Console.say(ConfigurationSources.print(configuration), end: "")
            return
        }
        ProcessSetup.prepare()
        let logger = Logger(label: "nexadb") { _ in
            StderrLogHandler(threshold: configuration.logThreshold, format: configuration.logFormat)
        }
        let service = NodeService(configuration: configuration, logger: logger, openDoor: GatewayServer.open) { node, door in
            var line = StartLine(node: node, door: door).text + "\n"
            line.withUTF8 { _ = write(STDOUT_FILENO, $0.baseAddress, $0.count) }
        }
        do {
            try await NodeService.runUntilSignalled(service)
        } catch {
            var line = "nexadb: \(error)\n"
            line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
            throw ExitCode.failure
        }
    }

    private func merged() throws -> ServerConfiguration {
        let environment = ProcessSetup.environment()
        var file: (path: String, content: String)?
        if let path = config ?? environment[ConfigurationSources.configVariable] {
            guard let content = ProcessSetup.readFile(path) else {
                throw ConfigurationError("cannot read the configuration file \(path)")
            }
            file = (path, content)
        }
        return try ConfigurationSources.merge(flags: settings.flags, environment: environment, file: file)
    }
}
