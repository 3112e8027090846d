import ArgumentParser
import NexaBlockingClient
import NexaShell
import NexaTransfer
import NexaWire

/// `nexadb export`: a collection into a file.
struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a collection to a file or standard output: JSON lines, JSON, CSV, TSV or MessagePack.",
        discussion: """
            One snapshot, from the first document to the last. A file gets its name when it is whole and on disk; until then it \
            stands beside it as FILE.*.partial. JSON lines and MessagePack come back exactly with `nexadb import`. See docs/import-export.md.

            EXAMPLES
              nexadb export users users.jsonl
              nexadb export users - --filter '{age: {$gte: 18}}' --fields name,address.city
              nexadb export users users.csv --fields _id,name,age

            EXIT CODES  0 done, 1 the export stopped or the file cannot be written, 2 the request is wrong, 5 the node cannot be reached.
            """)

    @OptionGroup var node: NodeOptions
    @Argument(help: "Collection to read.") var collection: String
    @Argument(help: ArgumentHelp("File to write; - for standard output.", valueName: "file")) var file = "-"
    @Option(help: "Database of the collection.") var database = "default"
    @Option(help: "jsonl, json, csv, tsv or msgpack; what the file's ending says when not given, else jsonl.") var format:
        TransferFormat?
    @Option(help: "Only documents that it matches; JSON as the shell reads it.") var filter: String?
    @Option(help: ArgumentHelp("Fields or dotted paths; the columns of CSV and TSV, which need them.", valueName: "a,b.c,..."))
    var fields: String?
    @Option(parsing: .unconditional, help: "Order: a field, -field, or JSON as QUERY takes it; by _id when not given.") var sort:
        String?
    @Option(help: "At most so many documents.") var limit: Int64?
    @Option(help: "CSV: the character between fields.") var delimiter: String?
    @Flag(help: "Report every few seconds, also where stderr is no terminal.") var progress = false
    @Flag(help: "No progress at a terminal either.") var quiet = false
    @Flag(help: "Print the summary as JSON: on stdout, or on stderr where the documents go to stdout.") var json = false

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit is not negative") }
        _ = try plan()
    }

    func run() throws {
        let plan = try plan()
        let signals = StopSignals()
        let line = ProgressLine(isWanted: progress, isQuiet: quiet || (file == "-" && Console.isOutputTerminal))
        let summary = try ToolExit.answering {
            do {
                var exporter = try Exporter(plan, node.endpoint(), node.clientOptions(name: "nexadb-export"))
                return try exporter.run { documents, elapsed in
                    line.show(documents: documents, elapsed: elapsed)
                    return !signals.isRaised
                }
            } catch let error as TransferError {
                line.clear()
                Console.complain(error.description)
                throw ToolExit.code(for: error)
            }
        }
        line.clear()
        let text = json ? Self.json(summary) : Self.text(summary)
        if file == "-" { Console.note(text) } else { Console.say(text) }
        if summary.isStopped { throw ToolExit.failed }
    }

    private func plan() throws -> ExportPlan {
        let format = format ?? TransferFormat(fileName: file) ?? .jsonl
        var plan = ExportPlan(collection: collection, format: format, path: file)
        plan.database = database
        plan.filter = try filter.map { try Self.json($0, "--filter") }
        plan.sort = try sort.map { $0.hasPrefix("{") || $0.hasPrefix("[") ? try Self.json($0, "--sort") : .string($0) }
        plan.limit = limit
        plan.fields = fields?.split(separator: ",").map(String.init) ?? []
        if format.isDelimited && plan.fields.isEmpty {
            throw ValidationError("csv and tsv need --fields, such as --fields _id,name")
        }
        if let delimiter { plan.delimiter = try Import.delimiterByte(delimiter, format) }
        return plan
    }

    private static func json(_ text: String, _ option: String) throws -> MessagePackValue {
        do throws(TextProblem) {
            return try RelaxedJSON.parse(text)
        } catch {
            throw ValidationError("\(option):\n\(error.pointing(into: text))")
        }
    }

    // MARK: The end

    private static func rate(_ summary: ExportSummary) -> Double {
        Double(summary.documents) / max(summary.elapsed / .seconds(1), 0.001)
    }

    private static func text(_ summary: ExportSummary) -> String {
        "\(summary.isStopped ? "stopped" : "complete"): \(Console.grouped(summary.documents)) documents, "
            + "\(Console.bytes(summary.bytes)); \(Console.fixed(summary.elapsed / .seconds(1), 2)) s, "
            + "\(Console.grouped(UInt64(rate(summary)))) documents/s"
    }

    private static func json(_ summary: ExportSummary) -> String {
        JSONText.write([
            "state": summary.isStopped ? "stopped" : "complete", "documents": .int(Int64(summary.documents)),
            "bytes": .int(Int64(summary.bytes)), "seconds": .double(summary.elapsed / .seconds(1)),
            "documents_per_second": .double(rate(summary).rounded()),
        ])
    }
}
