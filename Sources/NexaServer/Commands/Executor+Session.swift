/// CONNECT, BIND, DISCONNECT, STATUS, CANCEL, CURSOR_CREDIT: what concerns the connection and the node, not documents.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire

extension Executor {
    /// Negotiates. A second CONNECT on a connection replaces what the first agreed on.
    func connect(_ call: Call, _ session: inout Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        var agreed = Session()
        agreed.dialect = try dialect()
        agreed.features = try features()
        if let database = try fields.text(.database), !database.isEmpty {
            guard NameRules.isValidName(database) else { throw Self.badName("database") }
            agreed.database = Array(database)
        }
        if let username = try fields.text(.username) { agreed.username = String(decoding: username.prefix(120), as: UTF8.self) }
        agreed.principal = call.principal
        if call.principal == nil {
            if let credentials = try credentials(), node.authenticator.checks(credentials) { return .logIn(credentials) }
            if node.authenticator.isRequired { throw missingCredentials }
        }
        node.authenticator.refresh(&agreed)
        if let purpose = try fields.text(.purpose), !purpose.isEmpty {
            guard purpose.isEqual(to: "replication") else {
                throw DocumentError(.badRequest, "'purpose' is \"replication\" or absent", details: [.init("field", "purpose")])
            }
            guard node.replication != nil else {
                throw DocumentError(.unsupported, "This node takes no followers: start it with --node-name NAME")
            }
            if !agreed.isUnlimited { try authorize(.replHello, agreed) }
            return .replicate(as: agreed.principal)
        }
        session = agreed
        answerConnect(call, session, output)
        return .answered(hold: 0, commitCount: 0)
    }

    private func dialect() throws(DocumentError) -> Dialect {
        guard let text = try fields.text(.dialect) else { return .envelope }
        guard let dialect = Dialect(rawValue: String(decoding: text, as: UTF8.self)) else {
            throw DocumentError(.badRequest, "'dialect' is \"plain\" or \"envelope\"", details: [.init("field", "dialect")])
        }
        return dialect
    }

    /// The wanted features that this node knows; unknown ones are left out of the answer.
    private func features() throws(DocumentError) -> Features {
        guard let list = try RequestFields.reading({ () throws(WireError) in try fields.array(.features) }) else { return [] }
        var features: Features = []
        var reader = MessagePackReader(list)
        let count = (try? reader.readArrayHeader()) ?? 0
        for _ in 0..<count {
            guard let name = try? reader.readStringBytes() else {
                throw DocumentError(.badRequest, "'features' is a list of names", details: [.init("field", "features")])
            }
            for (known, feature) in Features.names where name.isEqual(to: known) { features.insert(feature) }
        }
        return features
    }

    private func answerConnect(_ call: Call, _ session: Session, _ output: OutputBytes) {
        let lsn = engine.visibleLSN
        let mark = begin(.success, call, lsn: lsn, output)
        output.writeMapHeader(session.features.contains(.opID) ? 16 : 15)
        output.writeString("status")
        output.writeString("connected")
        output.writeString("server")
        output.writeString("NexaDB")
        output.writeString("version")
        output.writeString(node.identity.version)
        output.writeString("authenticated")
        output.writeBool(true)
        output.writeString("username")
        output.writeString(session.principal?.user.name ?? (session.username.isEmpty ? "anonymous" : session.username))
        output.writeString("role")
        output.writeString((session.principal?.user.role ?? .admin).rawValue)
        output.writeString("node_id")
        output.writeString(node.identity.id)
        output.writeString("role_in_cluster")
        output.writeString(node.roleInCluster)
        output.writeString("leader")
        if let leader = node.replication == nil ? nil : node.gate.leaderAddress {
            output.writeString(leader)
        } else {
            output.writeNil()
        }
        output.writeString("epoch")
        output.writeUInt(engine.epoch)
        output.writeString("lsn")
        output.writeUInt(lsn)
        output.writeString("dialect")
        output.writeString(session.dialect.rawValue)
        output.writeString("features")
        let names = Features.names.filter { session.features.contains($0.feature) }
        output.writeArrayHeader(names.count)
        for (name, _) in names { output.writeString(name) }
        output.writeString("max_frame")
        output.writeInt(node.limits.frameByteCountMax)
        output.writeString("durability")
        output.writeString(node.configuration.durability == .disk ? "disk" : "os")
        if session.features.contains(.opID) {
            output.writeString("op_id_window_s")
            output.writeInt(node.configuration.operationWindow.milliseconds / 1_000)
        }
        output.endFrame(mark)
    }

    /// A handle for a database and collection, which need not exist yet.
    func bind(_ call: Call, _ session: inout Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        guard session.features.contains(.compact) else {
            throw DocumentError(.unsupported, "BIND needs the feature \"compact\" (CONNECT)")
        }
        guard let name = try fields.text(.collection), NameRules.isValidName(name) else { throw Self.badName("collection") }
        var database = session.database
        if let named = try fields.text(.database), !named.isEmpty {
            guard NameRules.isValidName(named) else { throw Self.badName("database") }
            database = Array(named)
        }
        let wanted = BoundCollection(database: database, name: Array(name))
        var handle = session.bound.firstIndex { $0.name == wanted.name && $0.database == wanted.database }
        if handle == nil {
            guard session.bound.count < Session.boundCountMax else {
                throw DocumentError(.tooLarge, "A connection has at most \(Session.boundCountMax) handles")
            }
            session.bound.append(wanted)
            handle = session.bound.count - 1
        }
        let mark = begin(.success, call, lsn: engine.visibleLSN, output)
        output.writeInt(handle ?? 0)
        output.endFrame(mark)
        return .answered(hold: 0, commitCount: 0)
    }

    func disconnect(_ call: Call, _ session: Session, _ output: OutputBytes) -> Outcome {
        let mark = begin(.success, call, lsn: engine.visibleLSN, output)
        output.writeMapHeader(1)
        output.writeString("status")
        output.writeString("goodbye")
        output.endFrame(mark)
        return .disconnect
    }

    func cancel() throws(DocumentError) -> Outcome {
        if let stream = try fields.count(.stream) { return .cancel(.stream(UInt64(stream))) }
        if let request = try fields.count(.requestID), let id = UInt32(exactly: request) { return .cancel(.request(id)) }
        throw DocumentError(.badRequest, "CANCEL names a 'stream' or a 'request_id'", details: [.init("field", "stream")])
    }

    func cursorCredit() throws(DocumentError) -> Outcome {
        guard let stream = try fields.count(.stream) else {
            throw DocumentError(.badRequest, "Missing 'stream' field", details: [.init("field", "stream")])
        }
        return .credit(stream: UInt64(stream), chunkCount: min(try fields.count(.credit) ?? 1, 1_000_000))
    }
}
