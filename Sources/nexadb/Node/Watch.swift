import ArgumentParser
import NexaBlockingClient
import NexaWire

/// `nexadb watch`: prints changes as they are committed.
struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what is written, as it is committed: one JSON object a line.",
        discussion: """
            The fields are those of CHANGE_EVENT in docs/protocol.md, with `resume_token` as base64. With the token of the last line that \
            was dealt with, --resume goes on behind it, on any node of the cluster. Ends with Ctrl-C, or after --count events.

            EXAMPLES
              nexadb watch
              nexadb watch orders --operations insert,update
              nexadb watch orders --resume AQAAAAAAAAABAAAAAAAAACr/////...

            EXIT CODES  0 --count was reached, 1 the stream ended, 2 wrong use, 5 the node cannot be reached.
            """)

    @OptionGroup var node: NodeOptions
    @Argument(help: "Collection to watch; all when absent.") var collection: String?
    @Option(help: "Database to watch. (default: with a collection \"default\", else all)") var database: String?
    @Option(help: "insert, update and delete, with commas between. (default: all)") var operations: String?
    @Option(help: ArgumentHelp("Go on behind this resume_token.", valueName: "token")) var resume: String?
    @Option(name: .shortAndLong, help: "End after so many events.") var count: Int?

    /// So often a quiet node says that it is there; well below the time that an answer may take.
    private static let heartbeatMilliseconds: Int64 = 5_000

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count is at least 1") }
        if resume != nil, token == nil { throw ValidationError("--resume is a resume_token in base64") }
        if node.timeout < 6 { throw ValidationError("--timeout is at least 6 seconds: a quiet node speaks every 5") }
    }

    func run() throws {
        try ToolExit.guarded {
            let connection = try ClientConnection.open(node.endpoint(), node.clientOptions(name: "nexadb-watch"))
            _ = try connection.request(.subscribeChanges, request)
            var left = count ?? .max
            while left > 0 {
                let event = try connection.receiveEvent().payload
                if event["operationType"]?.stringValue == "heartbeat" { continue }
                Console.say(JSONText.write(Self.printable(event)))
                left -= 1
            }
        }
    }

    private var token: [UInt8]? { resume.flatMap { text in Array(text.utf8).withUnsafeBytes { Base64.decode($0) } } }

    private var request: MessagePackValue {
        var fields: [MessagePackValue.Entry] = [.init("heartbeat_ms", .int(Self.heartbeatMilliseconds))]
        if let collection { fields.append(.init("collection", .string(collection))) }
        if let database { fields.append(.init("database", .string(database))) }
        if let operations {
            fields.append(.init("operations", .array(operations.split(separator: ",").map { .string(String($0)) })))
        }
        if let token { fields.append(.init("resume_after", .binary(token))) }
        return .map(fields)
    }

    /// The event with its token as text that `--resume` takes.
    private static func printable(_ event: MessagePackValue) -> MessagePackValue {
        guard case .map(let entries) = event else { return event }
        return .map(
            entries.map { entry in
                guard entry.key.stringValue == "resume_token", case .binary(let token) = entry.value else { return entry }
                return .init(
                    "resume_token", .string(token.withUnsafeBytes { String(decoding: Base64.encode($0), as: UTF8.self) }))
            })
    }
}
