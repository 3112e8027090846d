import ArgumentParser
import NexaServer

@main
struct NexaDB: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nexadb", abstract: "A replicated document database node: server, shell and tools in one binary.",
        version: "nexadb " + NodeIdentity.currentVersion,
        subcommands: [
            Serve.self, UserCommand.self, Ping.self, Status.self, Watch.self, Promote.self, Switch.self, Cluster.self, Shell.self,
            Demo.self, BackupCommand.self, Import.self, Export.self, Bench.self,
            Check.self,
            Dump.self, Rollback.self,
        ])
}
