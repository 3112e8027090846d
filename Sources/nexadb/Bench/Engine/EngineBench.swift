import ArgumentParser
import NexaStorage

/// `nexadb bench engine`: the storage engine alone, comparable with RocksDB's `db_bench`.
struct EngineBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Measure the storage engine alone, with the workloads of RocksDB's db_bench.",
        discussion: """
            Workloads: fillseq, fillrandom, overwrite, readrandom, readseq, seekrandom, readwhilewriting, follow. The first \
            two and follow begin with an empty store; the others use what is there. follow writes, ships the log to a second store \
            beside the first, and says what each side costs. settle flushes and compacts, so that what follows finds the tables at rest.

            The same in RocksDB:
              db_bench --benchmarks=fillrandom,readrandom --num=1000000 --compression_type=lz4 --bloom_bits=10 --cache_size=...
            """)

    @Argument(help: "Workloads, separated by commas.") var workloads =
        "fillseq,fillrandom,overwrite,readrandom,readseq,seekrandom"
    @Option(help: "Directory of the store; its contents are replaced.") var directory: String
    @Option(help: "Keys.") var num = 1_000_000
    @Option(help: "Operations of a read workload; 0: as many as keys.") var reads = 0
    @Option(help: "Bytes of a value.") var valueSize = 100
    @Option(help: "Operations of a batch.") var batchSize = 1
    @Option(help: "Threads.") var threads = 1
    @Option(help: "Memory of the engine in MiB.") var memory = 256
    @Option(help: "Memtable in MiB.") var memtable = 64
    @Option(help: "Block cache in MiB; what the memory leaves when not given.") var cache: Int?
    @Option(help: "Bytes of a block.") var blockSize = 4096
    @Flag(help: "Wait for the disk after each batch.") var sync = false

    func run() throws {
        var configuration = EngineBenchmark.Configuration(directory: directory)
        configuration.keyCount = num
        configuration.readCount = reads
        configuration.valueByteCount = valueSize
        configuration.batchCount = batchSize
        configuration.threadCount = threads
        configuration.memoryByteCount = memory << 20
        configuration.memTableByteCount = memtable << 20
        configuration.cacheByteCount = cache.map { $0 << 20 }
        configuration.blockByteCount = blockSize
        configuration.durability = sync ? .disk : .os
        try EngineBenchmark.run(names: workloads.split(separator: ",").map(String.init), configuration: configuration) {
            Console.say($0.line)
        }
    }
}
