import ArgumentParser

/// `nexadb bench documents`: the document layer alone.
struct DocumentsBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "documents",
        abstract: "Measure documents, queries and vectors in this process, on one thread, without sockets.",
        discussion: """
            Workloads: batch, create, read, update, scan, filter, sort, vectors, search. They run in the order given on one new store; read and \
            update need create, scan, filter and sort need batch or create, and search needs vectors before them. Writes do not wait for the disk.
            """)

    @Argument(help: "Workloads, separated by commas.") var workloads = "batch,scan,filter,sort,create,read,update,vectors,search"
    @Option(help: "Directory of the new store: empty or missing.") var directory: String
    @Option(help: "Documents of the batch workload.") var num = 1_000_000
    @Option(help: "Operations of create, read and update.") var operations = 200_000
    @Option(help: "Documents of a batch.") var batchSize = 1000
    @Option(help: "Vectors of the vectors workload.") var vectors = 20_000
    @Option(help: "Dimensions of a vector.") var dimensions = 384
    @Option(help: "Memory of the engine in MiB.") var memory = 1024

    func run() throws {
        let names = try workloads.split(separator: ",").map { name in
            guard let workload = DocumentsBenchmark.Workload(rawValue: String(name)) else {
                throw ValidationError("there is no workload '\(name)'")
            }
            return workload
        }
        var configuration = DocumentsBenchmark.Configuration(directory: directory)
        configuration.documentCount = num
        configuration.operationCount = operations
        configuration.batchCount = batchSize
        configuration.vectorCount = vectors
        configuration.dimensions = dimensions
        configuration.memoryByteCount = memory << 20
        try DocumentsBenchmark.run(names, configuration) { Console.say($0.line) }
    }
}
