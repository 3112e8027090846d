import ArgumentParser
import NexaStorage
import NexaWire

/// `nexadb rollback`: what was cut off a node's log when it joined another leader.
struct Rollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the writes that were cut off a node's log when it followed a new leader.",
        discussion: """
            A node that led before and was replaced may have writes that the others never got. When it joins again they are cut off its \
            log and kept in DIR/rollback, one file a time. The files are only read, also while the node runs; docs/formats/rollback.md \
            describes them.

            EXIT CODES  0 all whole, 1 a file is damaged, 2 it cannot be read.
            """,
        subcommands: [RollbackList.self, RollbackExport.self])
}

/// `nexadb rollback list DIR`.
struct RollbackList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the rollback files of a node.",
        discussion: """
            EXAMPLES
              nexadb rollback list ./data
            """)

    @Argument(help: "The data directory of the node.") var directory: String
    @Flag(help: "One JSON object a line.") var json = false

    func run() throws {
        try RollbackFiles(directory: directory).visit { path, read throws(StorageError) in
            let file = try read { _, _ in }
            if json {
                Console.say(JSONText.write(Self.json(file, path)))
            } else {
                Console.say(
                    "\(Path.name(of: path))  epoch \(file.epoch)  LSN \(file.firstLSN) to \(file.lastLSN)  "
                        + "\(Console.grouped(file.recordCount)) records  \(Console.bytes(file.recordsByteCount))")
            }
        }
    }

    private static func json(_ file: RollbackFile, _ path: String) -> MessagePackValue {
        [
            "file": .string(Path.name(of: path)), "store": .string(file.storeUUID.description),
            "epoch": .int(Int64(clamping: file.epoch)), "first_lsn": .int(Int64(clamping: file.firstLSN)),
            "last_lsn": .int(Int64(clamping: file.lastLSN)), "records": .int(Int64(clamping: file.recordCount)),
            "bytes": .int(Int64(clamping: file.recordsByteCount)),
            "created": .int(Int64(clamping: file.createdNanoseconds / 1_000_000_000)),
        ]
    }
}

/// `nexadb rollback export DIR`.
struct RollbackExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Print every operation that was cut off, one JSON object a line.",
        discussion: """
            Operations come in the order in which they were written, with the LSN and epoch of their batch. A document's key is shown as \
            collection id and key, as in `nexadb dump`.

            EXAMPLES
              nexadb rollback export ./data > cut.jsonl
              nexadb rollback export ./data --file 2-101-150.nxr
            """)

    @Argument(help: "The data directory of the node.") var directory: String
    @Option(help: "Only this file.") var file: String?

    func run() throws {
        try RollbackFiles(directory: directory, only: file).visit { _, read throws(StorageError) in
            _ = try read { record, payload in
                let header = record.header
                let place: [MessagePackValue.Entry] = [
                    .init("lsn", .int(Int64(clamping: header.lsn))), .init("epoch", .int(Int64(clamping: header.epoch))),
                ]
                guard header.type != .epochStart else {
                    return Console.say(JSONText.write(.map(place + [.init("op", .string("epoch_start"))])))
                }
                var operations = BatchCursor(payload)
                while let operation = try? operations.next() {
                    let fields = EntryText.entry(
                        kind: operation.kind, key: operation.key, value: operation.value, lsn: nil)
                    Console.say(JSONText.write(.map(place + fields)))
                }
            }
        }
    }
}

/// The rollback files of a data directory. Goes on behind a damaged one.
private struct RollbackFiles {
    typealias Visit = (ReplicatedRecord, UnsafeRawBufferPointer) -> Void
    let directory: String
    var only: String?

    func visit(
        _ body: (_ path: String, _ read: (Visit) throws(StorageError) -> RollbackFile) throws(StorageError) -> Void
    ) throws {
        let fileSystem = PosixFileSystem()
        var hasDamage = false
        let paths: [String]
        do throws(StorageError) {
            paths = try RollbackFile.paths(in: StoreLayout(directory: directory), fileSystem: fileSystem)
        } catch {
            Console.complain(error.description)
            throw ToolExit.usage
        }
        let wanted = paths.filter { only == nil || Path.name(of: $0) == only }
        if let only, wanted.isEmpty {
            Console.complain("\(directory) has no rollback file \(only)")
            throw ToolExit.usage
        }
        if wanted.isEmpty { Console.note("nothing was ever cut off") }
        for path in wanted {
            do throws(StorageError) {
                try body(path) { visit throws(StorageError) in try RollbackFile.read(path, fileSystem: fileSystem, visit: visit) }
            } catch {
                Console.complain(error.description)
                hasDamage = true
            }
        }
        if hasDamage { throw ToolExit.failed }
    }
}
