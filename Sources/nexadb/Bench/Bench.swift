import ArgumentParser

/// `nexadb bench`: the load generator for servers (the default), and benchmarks of the engine and of the document layer alone.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure a server, or the storage engine or the document layer alone.",
        subcommands: [ServerBench.self, EngineBench.self, DocumentsBench.self],
        defaultSubcommand: ServerBench.self)
}
