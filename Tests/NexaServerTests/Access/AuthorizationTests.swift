import NexaDocuments
import NexaServer
import NexaWire
import Testing

/// The table of docs/security.md, walked whole: every message type with every role.
@Suite struct AuthorizationTests {
    private static let open: Set<MessageType> = [.connect, .ping, .disconnect]
    private static let anyUser: Set<MessageType> = [.status, .cancel, .cursorCredit, .unsubscribeChanges, .changePassword]
    private static let reading: Set<MessageType> = [
        .read, .query, .vectorSearch, .multiRead, .count, .aggregate, .explain, .queryToon, .exportToon, .listCollections,
        .listDatabases, .listIndexes, .collectionStats, .getDatabaseStats, .getVectors, .bind, .subscribeChanges,
    ]
    private static let writing: Set<MessageType> = [
        .create, .update, .delete, .batchWrite, .importToon, .createCollection, .dropCollection, .createDatabase, .createIndex,
        .dropIndex, .buildHNSWIndex,
    ]
    private static let administering: Set<MessageType> = [.dropDatabase, .createUser, .deleteUser, .listUsers, .alterUser]
    private static let replicating = Set(MessageType.allCases.filter { (0x60...0x7F).contains($0.rawValue) })

    private func user(_ role: Role, _ databases: [String: Role] = [:]) -> User {
        User(name: "u", role: role, databases: databases, passwordHash: "", createdAt: 1)
    }

    private func isAllowed(_ user: User?, _ type: MessageType, in scope: Scope = .database("shop")) -> Bool {
        Authorization.decide(user, type, needs: type.need, in: scope) == .allowed
    }

    @Test func everyRequestIsInTheTableOnce() {
        let groups = [Self.open, Self.anyUser, Self.reading, Self.writing, Self.administering, Self.replicating]
        for type in MessageType.allCases {
            #expect(groups.count { $0.contains(type) } == (type.isRequest ? 1 : 0), "\(type.name)")
            #expect((type.need == .never) == !type.isRequest, "\(type.name)")
        }
    }

    @Test func everyRoleMayDoWhatTheTableSaysAndNoMore() {
        let allowed: [Role: Set<MessageType>] = [
            .read: Self.open.union(Self.anyUser).union(Self.reading),
            .write: Self.open.union(Self.anyUser).union(Self.reading).union(Self.writing),
            .admin: Set(MessageType.allCases.filter(\.isRequest)),
            .replication: Self.open.union(Self.anyUser).union(Self.replicating),
        ]
        for role in Role.allCases {
            for type in MessageType.allCases where type.isRequest {
                #expect(isAllowed(user(role), type) == allowed[role]!.contains(type), "\(role) \(type.name)")
            }
        }
    }

    @Test func aStrangerMayConnectPingAndLeave() {
        for type in MessageType.allCases where type.isRequest {
            let decision = Authorization.decide(nil, type, needs: type.need, in: .node)
            #expect(decision == (Self.open.contains(type) ? .allowed : .unauthenticated), "\(type.name)")
        }
    }

    @Test func noOperationOfABatchNeedsMoreThanTheBatch() {
        for role in Role.allCases where isAllowed(user(role), .batchWrite) {
            for element in BatchElement.allCases {
                let decision = Authorization.decide(user(role), .batchWrite, needs: element.need, in: .database("shop"))
                #expect(decision == .allowed, "\(role) \(element)")
            }
        }
        // What a batch may do to one who only reads: nothing.
        for element in BatchElement.allCases {
            #expect(Authorization.decide(user(.read), .batchWrite, needs: element.need, in: .node) != .allowed, "\(element)")
        }
    }

    @Test func aConfinedUserMayDoInADatabaseWhatRoleAndPermissionBothAllow() {
        let confined = user(.write, ["shop": .write, "archive": .read])
        #expect(isAllowed(confined, .create, in: .database("shop")))
        #expect(isAllowed(confined, .read, in: .database("archive")))
        #expect(!isAllowed(confined, .create, in: .database("archive")))
        #expect(!isAllowed(confined, .read, in: .database("default")))
        #expect(isAllowed(confined, .listDatabases, in: .node))
        #expect(Authorization.shows("shop", to: confined) && !Authorization.shows("default", to: confined))
        #expect(!isAllowed(user(.read, ["shop": .write]), .create, in: .database("shop")))
    }

    @Test func theRefusalSaysWhatIsMissing() {
        guard case .forbidden(let message) = Authorization.decide(user(.read), .create, needs: .write, in: .node) else {
            Issue.record("allowed")
            return
        }
        #expect(message.hasPrefix("Permission denied") && message.contains("CREATE") && message.contains("write"))
    }
}
