/// SUBSCRIBE_CHANGES and UNSUBSCRIBE_CHANGES: what they ask for, checked. The connection carries it out.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire

/// A subscription that can begin.
package struct SubscriptionRequest: Sendable {
    var filter: ChangeFilter
    var shape: DocumentShape
    /// How far its client knows what happened.
    var position: ChangePosition
    /// The position is one of this node's history; else it is looked for when the node has come that far.
    var isPlaced: Bool
    var heartbeatMilliseconds: Int?
}

/// Which subscriptions an UNSUBSCRIBE_CHANGES names.
package enum SubscriptionTarget: Equatable, Sendable {
    case all
    case number(UInt64)
    case collection(String)
}

extension Executor {
    func subscribe(_ call: Call, _ session: Session) throws(DocumentError) -> Outcome {
        var shape = session.shape
        // A full document is full, unless its vector is not wanted.
        shape.remove(.dropsVector)
        if fields.has(.includeVector), try fields.flag(.includeVector) == false { shape.insert(.dropsVector) }
        let heartbeat = try fields.count(.heartbeatMilliseconds)
        let (position, isPlaced) = try changePosition()
        return .subscribe(
            SubscriptionRequest(
                filter: try changeFilter(session), shape: shape, position: position, isPlaced: isPlaced,
                heartbeatMilliseconds: heartbeat == 0 ? nil : heartbeat))
    }

    func unsubscribe() throws(DocumentError) -> Outcome {
        if let number = try fields.count(.subscription) { return .unsubscribe(.number(UInt64(number))) }
        if let name = try fields.text(.collection) { return .unsubscribe(.collection(String(decoding: name, as: UTF8.self))) }
        return .unsubscribe(.all)
    }

    private func changeFilter(_ session: Session) throws(DocumentError) -> ChangeFilter {
        var filter = ChangeFilter()
        if let name = try fields.text(.collection), !name.isEmpty {
            guard NameRules.isValidName(name) else { throw Self.badName("collection") }
            filter.collection = String(decoding: name, as: UTF8.self)
        }
        if let name = try fields.text(.database), !name.isEmpty {
            guard NameRules.isValidName(name) else { throw Self.badName("database") }
            filter.database = String(decoding: name, as: UTF8.self)
        } else if filter.collection != nil || !session.database.isEmpty || session.principal?.user.databases.isEmpty == false {
            // Who may not read every database hears of one: what was asked for was authorized as this one.
            filter.database = requestedDatabase(session)
        }
        if let list = try RequestFields.reading({ () throws(WireError) in try fields.array(.operations) }) {
            filter.operations = try changeOperations(list)
        }
        return filter
    }

    private func changeOperations(_ list: Bytes) throws(DocumentError) -> ChangeOperations {
        var operations: ChangeOperations = []
        var reader = MessagePackReader(list)
        for _ in 0..<((try? reader.readArrayHeader()) ?? 0) {
            guard let name = try? reader.readStringBytes(),
                let known = ChangeOperations.names.first(where: { name.isEqual(to: $0.name) })
            else { throw Self.badOperations }
            operations.insert(known.operation)
        }
        guard !operations.isEmpty else { throw Self.badOperations }
        return operations
    }

    private static var badOperations: DocumentError {
        DocumentError(
            .badRequest, "'operations' is a list of \"insert\", \"update\" and \"delete\"",
            details: [.init("field", "operations")])
    }

    // MARK: Where it begins

    private func changePosition() throws(DocumentError) -> (ChangePosition, isPlaced: Bool) {
        let shown = node.changes.shownLSN
        let view = gate.readView(engine, visible: engine.visibleLSN)
        guard let asked = try askedPosition() else {
            // A node that has just started does not know yet what is committed: from what it shows on, when that is.
            return (ChangePosition(view.history.position(at: shown > 0 ? shown : view.visible)), shown > 0)
        }
        if let oldest = engine.oldestLogLSN, asked.nextLSN < oldest { throw historyLost(oldest, view.history) }
        switch ReadGate.decide(ReadRequest(after: asked.record), view) {
        case .tokenLost(let common): throw Self.tokenLost(common, view.history)
        case .read: return (asked, asked.record.lsn <= shown)
        case .wait, .stale:
            // A node of a cluster may be about to learn it.
            guard node.replication != nil else { throw Self.tokenLost(view.visible, view.history) }
            return (asked, false)
        }
    }

    private func askedPosition() throws(DocumentError) -> ChangePosition? {
        let after = try token()
        guard let raw = fields.raw(.resumeAfter) else { return after.map { ChangePosition($0) } }
        var reader = MessagePackReader(raw)
        guard after == nil, let bytes = try? reader.readBinBytes(), let position = ResumeToken.decode(bytes) else {
            throw DocumentError(
                .badRequest, "'resume_after' is a resume_token, and stands alone, without 'after'",
                details: [.init("field", "resume_after")])
        }
        return position
    }

    private static func tokenLost(_ common: LSN, _ history: EpochHistory) -> DocumentError {
        DocumentError(
            .tokenLost,
            "The position is not part of this history, which shares it up to LSN \(common) only: read the data anew",
            details: [.init("common_lsn", .uint(common)), .init("epoch", .uint(history.lastEpoch))])
    }

    private func historyLost(_ oldest: LSN, _ history: EpochHistory) -> DocumentError {
        let first = ChangePosition(history.position(at: oldest - 1))
        return DocumentError(
            .historyLost,
            "What came after this position is not in the log any more, which begins at LSN \(oldest): read the data anew "
                + "(change-log-bytes keeps more of it)",
            details: [
                .init("oldest_lsn", .uint(oldest)), .init("resume_token", .binary(ResumeToken.encode(first))),
            ])
    }
}
