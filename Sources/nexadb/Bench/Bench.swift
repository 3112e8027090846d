import ArgumentParser

/// `nexadb bench`: the load generator for servers (the default) and the benchmark of the engine alone.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure a server, or the storage engine alone.",
        subcommands: [ServerBench.self, EngineBench.self],
        defaultSubcommand: ServerBench.self)
}
