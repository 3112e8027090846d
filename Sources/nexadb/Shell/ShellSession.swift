import ArgumentParser
import NexaBlockingClient
import NexaShell
import NexaWire

/// Runs shell commands against one node and prints their results.
///
/// Documents go to standard output as they arrive, everything else for people to standard error, so that output can be piped. A failed
/// command throws; `execute` tells the person and leaves the exit code.
struct ShellSession {
    let connection: ShellConnection
    let results: Results
    var database: String
    var reads: ReadOptions
    var isTimed = false
    /// Documents that a find shows when nothing says how many; nil: all.
    let findLimit: Int64?
    /// As many as a person sees at once.
    static let page: Int64 = 20
    /// Where `it` goes on.
    var pending: ShellCommand.Find?
    /// How many files are being read, one out of the other.
    var scriptDepth = 0

    /// What every read asks for.
    struct ReadOptions {
        var concern: String?
        var stalenessMillisecondsMax: Int64?

        var fields: [MessagePackValue.Entry] {
            [
                concern.map { .init("read_concern", .string($0)) },
                stalenessMillisecondsMax.map { .init("max_staleness_ms", .int($0)) },
            ]
            .compactMap { $0 }
        }
    }

    /// What can go wrong beside the client's errors.
    enum Failure: Error {
        case notFound(String)
        case duplicate(String)
        case usage(String)
        case file(String)
    }

    init(
        _ connection: ShellConnection, results: Results, database: String, reads: ReadOptions = ReadOptions(), findLimit: Int64?
    ) {
        self.connection = connection
        self.results = results
        self.database = database
        self.reads = reads
        self.findLimit = findLimit
    }

    /// Returns false when the shell shall end.
    mutating func run(_ command: ShellCommand) throws -> Bool {
        switch command {
        case .exit: return false
        case .help(let topic):
            guard let text = HelpText.text(topic) else {
                throw Failure.usage("no help about '\(topic!)'; there is \(HelpText.topics.joined(separator: ", "))")
            }
            results.say(text)
        case .currentDatabase: results.say(database)
        case .use(let name):
            database = name
            Console.note("using \(name)")
        case .setting(let setting): try change(setting)
        case .script(let path): return try runScript(path)
        default:
            let start = ContinuousClock.now
            let count = try request(command)
            if isTimed { Console.note(Self.time(.now - start, count)) }
        }
        return true
    }

    /// Runs what asks the node. Returns how many values were shown.
    private mutating func request(_ command: ShellCommand) throws -> Int {
        switch command {
        case .ping: try show(try connection.usable().request(.ping).payload)
        case .status: try show(try connection.usable().request(.status).payload)
        case .showDatabases: try showNames(try connection.usable().request(.listDatabases).payload, "databases")
        case .showCollections: try showNames(try send(.listCollections), "collections")
        case .showUsers: try showUsers(try connection.usable().request(.listUsers).payload)
        case .databaseStats: try show(try send(.getDatabaseStats))
        case .dropDatabase: try show(try send(.dropDatabase))
        case .createCollection(let name, let options):
            try show(try send(.createCollection, [.init("collection", .string(name))], options))
        case .raw(let type, let payload): try runRaw(type, payload)
        case .find(let find): try runFind(find)
        case .more: try runMore()
        default: try runOnCollection(command)
        }
    }

    // MARK: Requests

    /// A payload about the current database: `fields`, then those of `options`.
    func payload(_ fields: [MessagePackValue.Entry], _ options: MessagePackValue? = nil) -> MessagePackValue {
        .map([.init("database", .string(database))] + fields + (options?.mapValue ?? []))
    }

    /// One request in the current database; NOT_FOUND and DUPLICATE are failures here.
    func send(
        _ type: MessageType, _ fields: [MessagePackValue.Entry] = [], _ options: MessagePackValue? = nil
    ) throws -> MessagePackValue {
        let reply = try connection.usable().request(type, payload(fields, options))
        if reply.isSlowDown { Console.note("the node asks for slower writes") }
        switch reply.type {
        case .notFound: throw Failure.notFound(reply.payload["error"]?.stringValue ?? "Not found")
        case .duplicate: throw Failure.duplicate(reply.payload["error"]?.stringValue ?? "duplicate key")
        default: return reply.payload
        }
    }

    private func runRaw(_ type: MessageType, _ payload: MessagePackValue) throws -> Int {
        if type == .query { return try query(payload) }
        let reply = try connection.usable().request(type, payload)
        if reply.type != .success { Console.note(reply.type.name) }
        return try show(reply.payload)
    }

    /// Shows the documents of a QUERY as they come.
    func query(_ payload: MessagePackValue, _ each: (MessagePackValue) -> Bool = { _ in true }) throws -> Int {
        let connection = try connection.usable()
        return try results.write { writer in _ = try connection.query(payload) { if each($0) { writer.add($0) } } }
    }

    // MARK: Results

    func show(_ value: MessagePackValue) throws -> Int { try results.write { $0.add(value) } }

    /// Names under `field`: in the modes for people as lines or rows, else as the node gave them.
    private func showNames(_ payload: MessagePackValue, _ field: String) throws -> Int {
        guard results.mode != .jsonl, let list = payload.arrayValue ?? payload[field]?.arrayValue else {
            return try show(payload)
        }
        let names = list.map { $0.stringValue ?? $0["name"]?.stringValue ?? JSONText.write($0) }
        if results.mode == .json || results.mode == .line {
            for name in names { results.say(TerminalText.visible(name)) }
            return names.count
        }
        return try results.write { writer in for name in names { writer.add(["name": .string(name)]) } }
    }

    /// A row a user, in all modes but that of one line a value.
    private func showUsers(_ payload: MessagePackValue) throws -> Int {
        guard results.mode != .jsonl, let users = payload["users"]?.mapValue else { return try show(payload) }
        return try results.write { writer in
            for user in users { writer.add(.map([.init("user", user.key)] + (user.value.mapValue ?? []))) }
        }
    }

    private static func time(_ duration: Duration, _ count: Int) -> String {
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        let time = Console.fixed(seconds, 3) + " s"
        if count <= 1 { return time }
        let rate = UInt64(Double(count) / max(seconds, 0.000_001))
        return "\(Console.grouped(UInt64(count))) in \(time) (\(Console.grouped(rate))/s)"
    }
}
