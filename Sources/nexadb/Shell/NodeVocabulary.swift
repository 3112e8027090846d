import NexaBlockingClient
import NexaShell
import NexaWire

/// What the node can tell for completion: names, and the fields of some documents.
///
/// It has a connection of its own with a short time limit, so that the Tab key never waits long and a late answer never meets a
/// statement. Answers are kept for some seconds; a node that does not answer is left in peace for as long.
final class NodeVocabulary {
    private let target: ShellTarget
    private var connection: ClientConnection?
    private var kept: [Question: (names: [String], since: ContinuousClock.Instant)] = [:]

    private struct Question: Hashable {
        let type: MessageType
        let database: String?
        var collection: String?
    }

    private static let patience: Duration = .milliseconds(500)
    private static let lifetime: Duration = .seconds(5)
    private static let sampleCount: Int64 = 20
    private static let questionCountMax = 100

    init(_ target: ShellTarget) {
        var target = target
        target.options.timeout = min(target.options.timeout, Self.patience)
        target.options.features = []
        self.target = target
    }

    /// What is worth knowing at `place`.
    func words(for place: CompletionPlace, database: String) -> Completion.Vocabulary {
        var vocabulary = Completion.Vocabulary()
        switch place.kind {
        case .database: vocabulary.databases = names(Question(type: .listDatabases, database: nil))
        case .databaseMember, .collectionMember, .collectionInQuotes:
            vocabulary.collections = names(Question(type: .listCollections, database: database))
        case .field(let collection, _):
            vocabulary.fields = names(Question(type: .query, database: database, collection: collection))
        case .file: vocabulary.files = FileNames.beginning(with: place.typed)
        default: break
        }
        return vocabulary
    }

    private func names(_ question: Question) -> [String] {
        if let known = kept[question], .now - known.since < Self.lifetime { return known.names }
        // Without an answer what was known before is better than nothing.
        let names = (try? ask(question)) ?? kept[question]?.names ?? []
        if kept.count >= Self.questionCountMax { kept.removeAll() }
        kept[question] = (names, .now)
        return names
    }

    private func ask(_ question: Question) throws(ClientError) -> [String] {
        if connection?.isBroken != false { connection = try target.connect() }
        var fields: [MessagePackValue.Entry] = []
        if let database = question.database { fields.append(.init("database", .string(database))) }
        if let collection = question.collection {
            fields += [.init("collection", .string(collection)), .init("limit", .int(Self.sampleCount))]
        }
        let answer = try connection!.request(question.type, .map(fields)).payload
        if question.type == .query { return FieldPaths.of(answer.arrayValue ?? []) }
        let list = answer.arrayValue ?? (answer["databases"] ?? answer["collections"])?.arrayValue ?? []
        return list.compactMap { $0.stringValue ?? $0["name"]?.stringValue }
    }
}
