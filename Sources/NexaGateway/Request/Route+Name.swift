/// What requests are counted under: the pattern of their path. A fixed list, so that nobody's names become labels.

extension Route {
    /// Of a path that means nothing.
    package static let otherName: StaticString = "other"

    package var name: StaticString {
        switch self {
        case .collections: "/collections"
        case .documents: "/collections/{collection}"
        case .document: "/collections/{collection}/{id}"
        case .action(_, .query): "/collections/{collection}/query"
        case .action(_, .count): "/collections/{collection}/count"
        case .action(_, .explain): "/collections/{collection}/explain"
        case .action(_, .bulk): "/collections/{collection}/bulk"
        case .action(_, .vectorSearch): "/collections/{collection}/vector_search"
        case .action(_, .distinct), .action(_, .aggregate), .action(_, .indexes): Self.otherName
        case .databases: "/databases"
        case .database: "/databases/{database}"
        case .databaseStatistics: "/databases/{database}/stats"
        case .logIn: "/auth/login"
        case .users: "/users"
        case .newUser: "/users/create"
        case .user: "/users/{name}"
        case .live: "/health/live"
        case .ready: "/health/ready"
        case .health: "/health"
        case .metrics: "/metrics"
        case .status: "/status"
        case .statistics: "/stats"
        case .openAPI: "/openapi.json"
        }
    }
}
