import ArgumentParser
import Glibc
import NexaBlockingClient
import NexaTransfer
import NexaWire

/// `nexadb import`: files into a collection.
struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Load a file into a collection: JSON lines, JSON, CSV, TSV or MessagePack.",
        discussion: """
            Documents are written in batches over several connections, as durably as the node's setting says, in no promised order. \
            A record without _id gets one. After a kill, Ctrl-C or a failure the same command goes on where the import stood: the \
            position is kept in FILE.import-state until all is in, and what is sent twice is written once. See docs/import-export.md.

            EXAMPLES
              nexadb import users users.jsonl
              nexadb import users users.csv --types age=int,joined=date --id-field email
              zcat users.jsonl.gz | nexadb import users - --format jsonl
              nexadb import users users.jsonl --mode upsert --on-error continue --rejects rejected.jsonl

            EXIT CODES  0 all is in, 1 records were refused or the import stopped, 2 the input or the request is wrong, \
            5 the node cannot be reached or is overloaded.
            """)

    @OptionGroup var node: NodeOptions
    @Argument(help: "Collection to write to.") var collection: String
    @Argument(help: ArgumentHelp("File to read; - for standard input.", valueName: "file")) var file: String
    @Option(help: "Database of the collection.") var database = "default"
    @Option(help: "jsonl, json, csv, tsv or msgpack; what the file's ending says when not given.") var format: TransferFormat?
    @Option(
        help: "insert: new documents only; upsert: fields replace those of a document that exists; replace: the whole document.")
    var mode: ImportMode = .insert
    @Option(help: ArgumentHelp("Field whose text or whole number becomes the _id.", valueName: "field")) var idField: String?

    @Option(help: ArgumentHelp("CSV and TSV: names of the columns of a file without a header row.", valueName: "a,b,..."))
    var fields: String?
    @Option(
        help: ArgumentHelp(
            "CSV and TSV: what columns are: string (default), int, double, bool, date, binary, json or auto.",
            valueName: "column=type,..."))
    var types: String?
    @Flag(help: "CSV and TSV: unquoted numbers, true, false and nothing become numbers, booleans and null.") var inferTypes =
        false
    @Flag(help: "CSV and TSV: leave empty fields out.") var skipEmpty = false
    @Option(help: "CSV: the character between fields.") var delimiter: String?

    @Option(help: ArgumentHelp("At a record that is refused: stop, or continue.", discussion: "continue with --rejects."))
    var onError: ImportPlan.OnError?
    @Option(help: ArgumentHelp("Keep refused records in this file, and why in FILE.reasons.", valueName: "file")) var rejects:
        String?
    @Flag(help: "Read and check everything, send nothing.") var dryRun = false
    @Flag(help: "Drop the collection before a new import begins.") var dropCollection = false

    @Option(help: ArgumentHelp("File that keeps the position. (default: FILE.import-state)", valueName: "file")) var state:
        String?
    @Flag(help: "Keep no position: the import cannot go on after a kill.") var noState = false
    @Flag(help: "Begin anew, whatever an earlier run had done.") var restart = false
    @Option(help: "Seconds to go on trying while the node is away or overloaded.") var retryFor: Double = 60

    @Option(help: "Connections, each with a thread.") var connections = 4
    @Option(help: "Documents of a batch.") var batchSize = 500
    @Option(help: "Bytes of the input that end a batch.") var batchBytes = 1 << 20
    @Option(help: "disk or os; the node's setting when not given.") var durability: Durability?
    @Option(help: "Nodes that must have a batch before the next: a number or majority.") var writeConcern: String?

    @Flag(help: "Report every few seconds, also where stderr is no terminal.") var progress = false
    @Flag(help: "No progress at a terminal either.") var quiet = false
    @Flag(help: "Print the summary as JSON.") var json = false

    enum Durability: String, ExpressibleByArgument, CaseIterable { case disk, os }

    func validate() throws {
        guard (1...100_000).contains(batchSize) else { throw ValidationError("--batch-size is 1 to 100,000") }
        guard (1_024...64 << 20).contains(batchBytes) else { throw ValidationError("--batch-bytes is 1,024 to 67,108,864") }
        guard (1...64).contains(connections) else { throw ValidationError("--connections is 1 to 64") }
        guard retryFor >= 0 && retryFor <= 86_400 else { throw ValidationError("--retry-for is 0 to 86,400 seconds") }
        if state != nil && noState { throw ValidationError("--state and --no-state exclude each other") }
        if rejects != nil && onError == .stop { throw ValidationError("--rejects goes with --on-error continue") }
        _ = try plan()
    }

    func run() throws {
        let importer = try begin()
        let signals = StopSignals()
        if let position = importer.resumed {
            Console.note("going on at record \(Console.grouped(position.record)), where an earlier run stood")
        }
        let line = ProgressLine(isWanted: progress, isQuiet: quiet)
        let summary = try guarded {
            try importer.run { progress in
                line.show(progress)
                return !signals.isRaised
            }
        }
        line.clear()
        try finish(summary)
    }

    private func begin() throws -> Importer {
        let plan = try plan()
        return try ToolExit.answering {
            try guarded { try Importer(plan, node.endpoint(), node.clientOptions(name: "nexadb-import"), isDryRun: dryRun) }
        }
    }

    private func guarded<R>(_ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as TransferError {
            Console.complain(error.description)
            throw ToolExit.code(for: error)
        }
    }

    // MARK: Options

    private func plan() throws -> ImportPlan {
        guard let format = format ?? TransferFormat(fileName: file) else {
            throw ValidationError("the name '\(file)' does not tell the format: give --format")
        }
        var input = InputPlan(path: file, format: format)
        if !format.isDelimited && (fields != nil || types != nil || inferTypes || skipEmpty || delimiter != nil) {
            throw ValidationError("--fields, --types, --infer-types, --skip-empty and --delimiter are for csv and tsv")
        }
        if let fields { input.columns = fields.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        if input.columns.contains("") || Set(input.columns).count != input.columns.count {
            throw ValidationError("--fields has a name twice, or an empty one")
        }
        input.types = try columnTypes()
        input.defaultType = inferTypes ? .auto : .string
        input.skipsEmpty = skipEmpty
        if let delimiter { input.delimiter = try Self.delimiterByte(delimiter, format) }
        var plan = ImportPlan(input: input, collection: collection)
        plan.database = database
        plan.mode = mode
        plan.idField = idField
        plan.durability = durability?.rawValue
        plan.writeConcern = try concern()
        plan.limits.records = batchSize
        plan.limits.bytes = batchBytes
        plan.connections = connections
        plan.onError = onError ?? (rejects == nil ? .stop : .continue)
        plan.rejectsPath = rejects
        plan.statePath = noState ? nil : state ?? (file == "-" ? nil : file + ".import-state")
        plan.startsAgain = restart
        plan.dropsCollection = dropCollection
        plan.retrySeconds = retryFor
        return plan
    }

    static func delimiterByte(_ text: String, _ format: TransferFormat) throws -> UInt8 {
        guard format.isDelimited else { throw ValidationError("--delimiter is for csv and tsv") }
        guard text.utf8.count == 1, let byte = text.utf8.first, byte != 0x22, byte != 0x0A, byte != 0x0D else {
            throw ValidationError("--delimiter is one ASCII character, no quote and no line break")
        }
        return byte
    }

    private func columnTypes() throws -> [String: ColumnType] {
        var result: [String: ColumnType] = [:]
        for part in types?.split(separator: ",") ?? [] {
            guard let equals = part.lastIndex(of: "="),
                let type = ColumnType(rawValue: String(part[part.index(after: equals)...]))
            else {
                throw ValidationError(
                    "--types: '\(part)' is not COLUMN=TYPE with a type of \(ColumnType.allCases.map(\.rawValue))")
            }
            result[String(part[..<equals])] = type
        }
        return result
    }

    private func concern() throws -> ImportPlan.WriteConcern? {
        guard let writeConcern else { return nil }
        if writeConcern == "majority" { return .majority }
        guard let count = Int(writeConcern), (1...64).contains(count) else {
            throw ValidationError("--write-concern is 1 to 64, or majority")
        }
        return .nodes(count)
    }

    // MARK: The end

    private func finish(_ summary: ImportSummary) throws {
        let report = ImportReport(summary, isDryRun: dryRun)
        if onError == .continue || rejects != nil || dryRun {
            for reject in summary.rejects { Console.note(reject.description) }
            let more = summary.progress.counts.rejected - summary.progress.countsBefore.rejected - UInt64(summary.rejects.count)
            if more > 0 { Console.note("... and \(Console.grouped(more)) more") }
        }
        if json { Console.say(report.json) } else { Console.say(report.text) }
        switch summary.end {
        case .complete:
            if summary.progress.counts.rejected > 0 { throw ToolExit.failed }
        case .stopped:
            if summary.isResumable { Console.note("the same command goes on from here") }
            throw ToolExit.failed
        case .failed(let error):
            Console.complain(error.description)
            if case .refused = error {
                Console.note("--on-error continue goes on behind such records, --rejects FILE keeps them")
            }
            if summary.isResumable { Console.note("the same command goes on from here") }
            throw ToolExit.code(for: error)
        }
    }
}

extension TransferFormat: ExpressibleByArgument {}
extension ImportMode: ExpressibleByArgument {}
extension ImportPlan.OnError: ExpressibleByArgument {}
