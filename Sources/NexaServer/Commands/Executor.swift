/// Executes requests: on an event loop for whatever is answered from memory, on a thread of the work pool for the rest.
///
/// One executor belongs to one thread, with its document worker and scratch memory. A command reads its fields as slices of the
/// payload and writes its answer straight into the connection's output; PING, READ and CREATE allocate nothing here.
/// A command that fails leaves nothing in the output but its ERROR frame.

import NexaDocuments
import NexaStorage
import NexaWire

package final class Executor {
    let node: NodeContext
    let worker: DocumentWorker
    let metrics: LoopMetrics
    let engine: Engine
    let catalog: Catalog
    let gate: ReplicationGate
    /// This thread may wait for the disk and take its time.
    let mayBlock: Bool
    let fields = RequestFields()
    /// Set with `wouldBlock`: the command is not for the pool, it waits.
    var pendingWait: RequestWait?
    /// Set by a command that was answered and whose answer needs more than this disk; `takeConcern` clears it.
    var concern: PendingConcern?
    let inflater = FrameInflater()

    package init(node: NodeContext, mayBlock: Bool) {
        self.node = node
        self.mayBlock = mayBlock
        worker = node.store.makeWorker()
        metrics = node.makeMetrics()
        engine = node.engine
        catalog = node.store.catalog
        gate = node.gate
    }

    /// Executes one request. `payload` is the frame's payload, inflated; `isValidated` says that it was checked before.
    package func execute(
        type: MessageType, requestID: UInt32?, wantsToken: Bool, payload: UnsafeRawBufferPointer, isValidated: Bool = false,
        session: inout Session, floor: LSN, wait: WaitState = WaitState(), principal: Principal? = nil, into output: OutputBytes
    ) -> Outcome {
        let isSlowed = !session.features.isEmpty && (engine.pressure > Self.pressureMax || gate.isSlowing)
        let call = Call(
            type: type, requestID: requestID, wantsToken: wantsToken, isSlowed: isSlowed, floor: floor, wait: wait,
            principal: principal)
        let start = output.byteCount
        do throws(DocumentError) {
            if type == .ping {
                pong(call, output)
                return .answered(hold: 0, commitCount: 0)
            }
            if session.usersVersion != catalog.usersVersion || !session.isUnlimited { try admit(type, &session) }
            if !isValidated, !payload.isEmpty, !payloadIsValid(payload), let error = validate(payload).error {
                throw DocumentError(error)
            }
            do throws(WireError) {
                try fields.parse(payload, type: type, acceptsCompact: session.features.contains(.compact))
            } catch {
                throw DocumentError(error)
            }
            return try run(call, payload, &session, output)
        } catch {
            output.truncate(to: start)
            let error = type.isWrite && gate.isClosed ? sealed(error, call) : error
            if error.isWouldBlock {
                concern = nil
                return .offload
            }
            return fail(error, call, session, output)
        }
    }

    private func run(
        _ call: Call, _ payload: UnsafeRawBufferPointer, _ session: inout Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        if !session.isUnlimited { try authorize(call.type, session) }
        if gate.isClosed, call.type.isWrite { try admitWrite(call) }
        if fields.has(.opID) { try checkOperation(call) }
        switch call.type {
        case .read: return try read(call, session, output)
        case .create: return try create(call, session, output)
        case .update: return try update(call, session, output)
        case .delete: return try delete(call, session, output)
        case .multiRead: return try multiRead(call, session, output)
        case .batchWrite: return try batchWrite(call, payload, session, output)
        case .query: return try query(call, session, output)
        case .count: return try count(call, session, output)
        case .explain: return try explain(call, session)
        case .vectorSearch: return try vectorSearch(call, session, output)
        case .connect: return try connect(call, &session, output)
        case .bind: return try bind(call, &session, output)
        case .disconnect: return disconnect(call, session, output)
        case .status: return status(call, session, output)
        case .cancel: return try cancel()
        case .cursorCredit: return try cursorCredit()
        case .listDatabases: return try listDatabases(call, session, output)
        case .listCollections: return try listCollections(call, session, output)
        case .createDatabase: return try createDatabase(call, session, output)
        case .dropDatabase: return try dropDatabase(call, session, output)
        case .createCollection: return try createCollection(call, session, output)
        case .dropCollection: return try dropCollection(call, session, output)
        case .collectionStats: return try collectionStatistics(call, session)
        case .getDatabaseStats: return try databaseStatistics(call, session)
        case .queryToon, .exportToon: return try queryToon(call, session, output)
        case .importToon: return try importToon(call, payload, session, output)
        case .getVectors: return try getVectors(call, session)
        case .buildHNSWIndex: return try buildVectorIndex(call, session)
        case .createUser: return try createUser(call, payload, session, output)
        case .deleteUser: return try deleteUser(call, payload, session, output)
        case .listUsers: return listUsers(call, session, output)
        case .changePassword: return try changePassword(call, payload, &session, output)
        case .alterUser: return try alterUser(call, payload, &session, output)
        case .snapshotBegin, .snapshotGet, .snapshotDone: return try snapshot(call, payload, session, output)
        case .subscribeChanges: return try subscribe(call, session)
        case .unsubscribeChanges: return try unsubscribe()
        case .createIndex, .dropIndex, .listIndexes, .aggregate:
            throw DocumentError(.unsupported, "\(call.type.name) is not supported by this node yet")
        // Between nodes; an ordinary connection has no business with them.
        case .replHello, .streamStartAt, .replAck, .readIndex, .fence, .promote, .promoted, .switchover, .verify, .nodeStatus,
            .slotAdmin, .replStop, .replWelcome, .snapshotManifest, .snapshotChunk, .walBatch, .heartbeat, .readIndexReply,
            .topology, .fenced, .switchoverProgress, .verifyProgress, .nodeStatusReply, .slotAdminReply:
            throw Self.unknownType(call.type.rawValue)
        case .ping, .success, .error, .notFound, .duplicate, .streamStart, .streamChunk, .streamEnd, .pong, .changeEvent:
            throw Self.unknownType(call.type.rawValue)
        }
    }

    /// The refusal of a type byte that is no request.
    package static func unknownType(_ byte: UInt8) -> DocumentError {
        DocumentError(.unknownType, "Unknown message type: \(byte)", details: [.init("type", .int(Int64(byte)))])
    }

    /// Answers with an error in the connection's dialect.
    package func fail(_ error: DocumentError, _ session: Session, requestID: UInt32?, into output: OutputBytes) {
        metrics.countError(error.code)
        let type: MessageType = error.code == .duplicate && session.takesDuplicateFrames ? .duplicate : .error
        output.writeErrorFrame(error.wireError, requestID: requestID, type: type)
    }

    private func fail(_ error: DocumentError, _ call: Call, _ session: Session, _ output: OutputBytes) -> Outcome {
        concern = nil
        fail(error, session, requestID: call.requestID, into: output)
        // A refused write tells of a state that may not be durable yet: that a key exists, that a revision is another one.
        switch error.code {
        case .duplicate, .conflict: return .answered(hold: engine.appliedLSN, commitCount: 0)
        default: return .answered(hold: 0, commitCount: 0)
        }
    }

    /// Drops cached views of the engine, so that an idle thread keeps no memory of it alive.
    func releaseViews() { worker.release() }

    /// Above this the engine delays writers: their clients are asked to slow down, and no event loop writes by itself.
    static let pressureMax = 0.5

    /// On an event loop, sends a write to the work pool when the engine would make it wait.
    @inline(__always)
    func checkPressure() throws(DocumentError) {
        if !mayBlock && engine.pressure > Self.pressureMax { throw .wouldBlock }
    }

    // MARK: Frames

    /// Begins an answer whose position is `lsn`.
    @inline(__always)
    func begin(_ type: MessageType, _ call: Call, lsn: LSN, _ output: OutputBytes) -> FrameMark {
        let token = call.wantsToken ? gate.token(at: lsn, engine) : nil
        return output.beginFrame(type, requestID: call.requestID, token: token, flags: call.isSlowed ? .slowDown : .none)
    }

    /// Ends an answer, compressed if that was negotiated and is worth it.
    @inline(__always)
    func end(_ mark: FrameMark, _ session: Session, _ output: OutputBytes) {
        if session.features.contains(.lz4) { output.endFrameCompressed(mark) } else { output.endFrame(mark) }
    }

    /// `{error: "Not found"}`: the text that existing clients look for.
    func answerNotFound(_ call: Call, lsn: LSN, _ output: OutputBytes) {
        let mark = begin(.notFound, call, lsn: lsn, output)
        output.writeMapHeader(1)
        output.writeString("error")
        output.writeString("Not found")
        output.endFrame(mark)
    }

    private func pong(_ call: Call, _ output: OutputBytes) {
        let mark = begin(.pong, call, lsn: call.wantsToken ? readLSN(call) : 0, output)
        output.writeMapHeader(2)
        output.writeString("status")
        output.writeString("ok")
        output.writeString("timestamp")
        output.writeDouble(TimeOfDay.now().fractionalSeconds)
        output.endFrame(mark)
    }

    /// Where a read of this connection reads: what is acknowledged, and its own writes.
    @inline(__always)
    func readLSN(_ call: Call) -> LSN { max(engine.visibleLSN, call.floor) }
}
