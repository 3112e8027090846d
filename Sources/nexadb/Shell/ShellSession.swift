import ArgumentParser
import NexaBlockingClient
import NexaShell
import NexaWire

/// Runs shell commands against one node and prints their results.
///
/// Documents go to stdout as they arrive, everything else for people to stderr, so that output can be piped. A failed command throws;
/// the caller decides whether that ends the shell.
struct ShellSession {
    enum Format: String, ExpressibleByArgument, CaseIterable { case pretty, jsonl }

    private let connection: ClientConnection
    private(set) var database: String
    private let format: Format
    /// Documents that a find shows when nothing says how many; nil: all.
    private let findLimit: Int64?

    init(_ connection: ClientConnection, database: String, format: Format, findLimit: Int64?) {
        self.connection = connection
        self.database = database
        self.format = format
        self.findLimit = findLimit
    }

    /// What can go wrong beside the client's errors.
    enum Failure: Error {
        case notFound(String)
        case duplicate(String)
    }

    /// Returns false when the shell shall end.
    mutating func run(_ command: ShellCommand) throws -> Bool {
        switch command {
        case .nothing: break
        case .exit: return false
        case .help: Console.say(Self.help)
        case .currentDatabase: Console.say(database)
        case .use(let name):
            database = name
            Console.note("using \(name)")
        case .ping: show(try connection.request(.ping).payload)
        case .status: show(try connection.request(.status).payload)
        case .showDatabases: showNames(try connection.request(.listDatabases).payload, "databases")
        case .showCollections: showNames(try send(.listCollections, []), "collections")
        case .databaseStats: show(try send(.getDatabaseStats, []))
        case .dropDatabase: show(try send(.dropDatabase, []))
        case .raw(let type, let payload): try runRaw(type, payload)
        default: try runOnCollection(command)
        }
        return true
    }

    private func runOnCollection(_ command: ShellCommand) throws {
        switch command {
        case .find(let find): try runFind(find)
        case .findOne(let find):
            var document = MessagePackValue.null
            _ = try connection.query(request(find.fields)) { document = $0 }
            show(document)
        case .count(let find): try runCount(find)
        case .get(let collection, let key):
            show(try send(.read, [.init("collection", .string(collection)), .init("key", .string(key))]))
        case .insert(let collection, let document):
            show(try send(.create, [.init("collection", .string(collection)), .init("data", document)]))
        case .insertMany(let collection, let documents):
            show(try send(.batchWrite, [.init("collection", .string(collection)), .init("documents", documents)]))
        case .update(let collection, let key, let updates):
            show(
                try send(
                    .update, [.init("collection", .string(collection)), .init("key", .string(key)), .init("updates", updates)]))
        case .delete(let collection, let key):
            show(try send(.delete, [.init("collection", .string(collection)), .init("key", .string(key))]))
        case .createCollection(let name, let options):
            show(try send(.createCollection, [.init("collection", .string(name))] + (options?.mapValue ?? [])))
        case .drop(let collection): show(try send(.dropCollection, [.init("collection", .string(collection))]))
        case .stats(let collection): show(try send(.collectionStats, [.init("collection", .string(collection))]))
        case .vectorSearch(let collection, let vector, let options):
            show(
                try send(
                    .vectorSearch,
                    [.init("collection", .string(collection)), .init("vector", vector)] + (options?.mapValue ?? [])))
        default: preconditionFailure("not a command on a collection")
        }
    }

    // MARK: Requests

    private func request(_ fields: [MessagePackValue.Entry]) -> MessagePackValue {
        .map([.init("database", .string(database))] + fields)
    }

    /// One request in the current database; NOT_FOUND and DUPLICATE are failures here.
    private func send(_ type: MessageType, _ fields: [MessagePackValue.Entry]) throws -> MessagePackValue {
        let reply = try connection.request(type, request(fields))
        if reply.isSlowDown { Console.note("the node asks for slower writes") }
        switch reply.type {
        case .notFound: throw Failure.notFound(reply.payload["error"]?.stringValue ?? "Not found")
        case .duplicate: throw Failure.duplicate(reply.payload["error"]?.stringValue ?? "duplicate key")
        default: return reply.payload
        }
    }

    private func runFind(_ find: ShellCommand.Find) throws {
        var limited = find
        // One more than shown tells whether there is more.
        if find.limit == nil, let findLimit { limited.limit = findLimit + 1 }
        let shownMax = find.limit == nil ? findLimit : nil
        var shown: Int64 = 0
        let count = try connection.query(request(limited.fields)) { document in
            if let shownMax, shown == shownMax { return }
            shown += 1
            show(document)
        }
        if let shownMax, count > shownMax { Console.note("... and more; .limit(n) sets how many are shown") }
    }

    private func runCount(_ find: ShellCommand.Find) throws {
        let answer = try send(.count, find.fields)
        show(answer["count"] ?? answer)
    }

    private func runRaw(_ type: MessageType, _ payload: MessagePackValue) throws {
        if type == .query {
            _ = try connection.query(payload) { show($0) }
            return
        }
        let reply = try connection.request(type, payload)
        if reply.type != .success { Console.note(reply.type.name) }
        show(reply.payload)
    }

    // MARK: Output

    private func show(_ value: MessagePackValue) {
        Console.say(format == .jsonl ? JSONText.write(value) : JSONLayout.pretty(value))
    }

    /// A list of names, whether it comes as such, as a list of maps with a name, or under `field`.
    private func showNames(_ payload: MessagePackValue, _ field: String) {
        guard format == .pretty, let list = payload.arrayValue ?? payload[field]?.arrayValue else { return show(payload) }
        for entry in list { Console.say(entry.stringValue ?? entry["name"]?.stringValue ?? JSONText.write(entry)) }
    }

    /// Lines of at most 78 characters, so that no terminal breaks them.
    static let help = """
        show databases | show collections | use NAME | db
        db.createCollection("users")   db.stats()   db.dropDatabase()
        db.users.insert({name: "Ann", age: 30})       an array inserts many
        db.users.find({age: {$gte: 25}}).sort({age: -1}).limit(5)
            also .skip(n), .project({name: 1}) and .count()
        db.users.findOne({name: "Ann"})   db.users.get("KEY")
        db.users.update("KEY", {age: 31})             changes the given fields
        db.users.delete("KEY")   db.users.count({age: 31})
        db.users.vectorSearch([0.1, 0.2], {limit: 5})
        db.users.stats()   db.users.drop()
        ping | status | help | exit
        READ {collection: "users", key: "KEY"}        any message by its name

        Keys need no quotes, texts take "..." or '...', comments begin with
        // or #. It looks like the MongoDB shell and is not JavaScript.
        """
}
