import NexaBlockingClient
import NexaShell
import NexaWire

/// Commands on a collection.
extension ShellSession {
    /// A find. Where it shows no more than a page, `pending` keeps what `it` asks for.
    mutating func runFind(_ find: ShellCommand.Find) throws -> Int {
        pending = nil
        guard find.limit == nil, let findLimit else { return try query(payload(find.fields + reads.fields)) }
        var page = find
        // One more than is shown tells whether there is more.
        page.limit = findLimit + 1
        var (shown, hasMore, last) = (Int64(0), false, MessagePackValue.null)
        let count = try query(payload(page.fields + reads.fields)) { document in
            hasMore = shown == findLimit
            if !hasMore {
                last = document
                shown += 1
            }
            return !hasMore
        }
        if hasMore {
            pending = find.following(last, shown: shown)
            Console.note("there is more: it shows it, .limit(n) sets how many come")
        }
        return count
    }

    mutating func runMore() throws -> Int {
        guard let pending else { throw Failure.usage("there is no find to go on with") }
        return try runFind(pending)
    }

    func runOnCollection(_ command: ShellCommand) throws -> Int {
        switch command {
        case .findOne(let find):
            var document = MessagePackValue.null
            _ = try connection.usable().query(payload(find.fields + reads.fields)) { document = $0 }
            return try show(document)
        case .count(let find):
            let answer = try send(.count, find.fields + reads.fields)
            return try show(answer["count"] ?? answer)
        case .explain(let find): return try show(try send(.explain, find.fields + reads.fields))
        case .get(let collection, let key): return try show(try send(.read, Self.name(collection, key) + reads.fields))
        case .insert(let collection, let document, let options):
            return try show(try send(.create, Self.name(collection) + [.init("data", document)], options))
        case .insertMany(let collection, let documents, let options):
            return try show(try send(.batchWrite, Self.name(collection) + [.init("documents", documents)], options))
        case .put(let collection, let key, let document):
            let operation: MessagePackValue = ["op": "put", "key": .string(key), "data": document]
            return try show(try send(.batchWrite, Self.name(collection) + [.init("operations", [operation])]))
        case .update(let collection, let key, let updates, let options):
            return try show(try send(.update, Self.name(collection, key) + [.init("updates", updates)], options))
        case .delete(let collection, let key, let options):
            return try show(try send(.delete, Self.name(collection, key), options))
        case .drop(let collection): return try show(try send(.dropCollection, Self.name(collection)))
        case .stats(let collection): return try show(try send(.collectionStats, Self.name(collection)))
        case .vectorSearch(let collection, let vector, let options):
            return try show(try send(.vectorSearch, Self.name(collection) + [.init("vector", vector)] + reads.fields, options))
        default: preconditionFailure("not a command on a collection")
        }
    }

    private static func name(_ collection: String) -> [MessagePackValue.Entry] { [.init("collection", .string(collection))] }

    private static func name(_ collection: String, _ key: String) -> [MessagePackValue.Entry] {
        name(collection) + [.init("key", .string(key))]
    }
}
