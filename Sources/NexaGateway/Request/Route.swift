/// What a path means: a pure function of its text, before anything of the request is looked at.
///
///     /collections/{c}                                   a collection and its documents
///     /collections/{c}/{id}                              one document, whatever its key: a slash in it is %2F
///     /collections/{c}/query, /count, /bulk, ...         actions, for POST alone: documents may be called so
///     /databases/{d}/collections/{c}/documents[/{id}]    the same with the database in the path

import HTTPTypes

/// A collection, in a database that the path may name.
package struct Target: Equatable, Sendable {
    package var database: String?
    package var collection: String

    package init(database: String? = nil, collection: String) {
        self.database = database
        self.collection = collection
    }
}

package enum Route: Equatable, Sendable {
    package enum Action: String, CaseIterable, Sendable {
        case query, count, bulk
        case vectorSearch = "vector_search"
        case distinct, explain, aggregate, indexes
    }

    case collections(database: String?)
    case documents(Target)
    case document(Target, id: String)
    case action(Target, Action)
    case databases
    case database(String)
    case databaseStatistics(String)
    case logIn
    case users
    case newUser
    case user(String)
    case live, ready, health, metrics, status, statistics, openAPI

    /// What a path is not.
    package enum Failure: Error, Equatable { case unknown, badEncoding }

    /// `method` decides between an action and a document of its name.
    package init(path: String, method: HTTPRequest.Method) throws(Failure) {
        var segments: [String] = []
        for part in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let text = PercentCoding.decode(part.utf8) else { throw .badEncoding }
            segments.append(text)
        }
        // One slash at the end says nothing.
        if segments.count > 1, segments.last == "" { segments.removeLast() }
        guard path.first == "/", !segments.contains(""), let route = Self.find(segments, method) else { throw .unknown }
        self = route
    }

    private static func find(_ path: [String], _ method: HTTPRequest.Method) -> Route? {
        switch (path[0], path.count) {
        case ("collections", 1): .collections(database: nil)
        case ("collections", 2...): collection(Target(database: nil, collection: path[1]), path.dropFirst(2), method)
        case ("vector", 3) where path[2] == "search":
            .action(Target(database: nil, collection: path[1]), .vectorSearch)
        case ("databases", 1): .databases
        case ("databases", 2): .database(path[1])
        case ("databases", 3) where path[2] == "stats": .databaseStatistics(path[1])
        case ("databases", 3) where path[2] == "collections": .collections(database: path[1])
        case ("databases", 4...) where path[2] == "collections":
            inDatabase(Target(database: path[1], collection: path[3]), path.dropFirst(4), method)
        case ("auth", 2) where path[1] == "login": .logIn
        case ("users", 1): .users
        case ("users", 2): path[1] == "create" && method == .post ? .newUser : .user(path[1])
        case ("health", 1): .health
        case ("health", 2) where path[1] == "live": .live
        case ("health", 2) where path[1] == "ready": .ready
        case ("metrics", 1): .metrics
        case ("status", 1): .status
        case ("stats", 1): .statistics
        case ("openapi.json", 1): .openAPI
        default: nil
        }
    }

    private static func collection(_ target: Target, _ rest: ArraySlice<String>, _ method: HTTPRequest.Method) -> Route? {
        guard let name = rest.first else { return .documents(target) }
        guard rest.count == 1 else { return nil }
        if let action = action(name), method == .post || action == .indexes { return .action(target, action) }
        return .document(target, id: name)
    }

    /// Behind `documents` everything is a document.
    private static func inDatabase(_ target: Target, _ rest: ArraySlice<String>, _ method: HTTPRequest.Method) -> Route? {
        guard rest.first == "documents" else { return collection(target, rest, method) }
        switch rest.count {
        case 1: return .documents(target)
        case 2: return .document(target, id: rest.last ?? "")
        default: return nil
        }
    }

    private static func action(_ name: String) -> Action? { name == "vector-search" ? .vectorSearch : Action(rawValue: name) }

    /// The methods that mean something here, for `Allow`.
    package var methods: [HTTPRequest.Method] {
        switch self {
        case .collections(database: nil): [.get, .head]
        case .collections: [.get, .head, .post]
        case .documents: [.get, .head, .post, .put, .delete]
        case .document: [.get, .head, .put, .patch, .delete]
        case .action(_, .indexes): [.get, .post, .delete]
        case .action, .logIn, .newUser: [.post]
        case .databases, .users: [.get, .head, .post]
        case .database: [.delete]
        case .user: [.put, .delete]
        case .databaseStatistics, .live, .ready, .health, .metrics, .status, .statistics, .openAPI: [.get, .head]
        }
    }
}
