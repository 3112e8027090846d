// Sockets of the shell: dialling, taking over what request loops accepted, and what arrives.

import Logging
import NIOCore
import NIOPosix
import NexaReplication
import NexaStorage
import NexaTLS
import NexaWire

extension ReplicationShell {
    // MARK: - Coming

    func connectUpstream(_ session: SessionID, _ address: String) {
        let connection = ReplicationConnection(.upstream, session: session, shell: self)
        connections[session] = connection
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: dialDelay()) {
            // The core may have given up meanwhile.
            guard let connection = bound.value.connections[session] else { return }
            bound.value.dial(connection, address)
        }
    }

    func dial(_ connection: ReplicationConnection, _ address: String) {
        guard let (host, port) = ClusterMember.hostAndPort(address) else { return connectionEnded(connection) }
        let (shell, handler) = (NIOLoopBound(self, eventLoop: eventLoop), NIOLoopBound(connection, eventLoop: eventLoop))
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(3))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 64 << 10, maximum: 1 << 20)
            )
            .channelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    try tls?.addHandler(to: channel, host: host)
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .connect(host: host, port: port)
            .whenFailure { _ in
                shell.value.noteDial(succeeded: false)
                shell.value.connectionEnded(handler.value)
            }
    }

    /// A connection that a request loop accepted; `hello` is the payload of its CONNECT, which is answered here.
    func adopt(_ descriptor: NIOBSDSocket.Handle, hello: MessagePackValue?, isWelcome: @escaping @Sendable () -> Bool) {
        let name = hello?["name"]?.stringValue
        let isMember = name.map { node.setup.configuration.member(NodeID(name: $0)) != nil } ?? false
        guard !isStopped, makeRoom(isMember: isMember) else { return DescriptorCloser.close(descriptor) }
        let connection = ReplicationConnection(.downstream, session: nextSession(), shell: self)
        if let id = hello?["node"]?.nodeID { connection.peer = id }
        connection.peerName = name
        connection.isMember = isMember
        connection.isWelcome = isWelcome
        connection.isSealed = hello?["seals"] == .bool(true)
        connections[connection.session] = connection
        let (shell, handler) = (NIOLoopBound(self, eventLoop: eventLoop), NIOLoopBound(connection, eventLoop: eventLoop))
        ClientBootstrap(group: eventLoop)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 4 << 10, maximum: 64 << 10)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
            }
            .withConnectedSocket(descriptor)
            .whenFailure { _ in shell.value.connectionEnded(handler.value) }
    }

    private var occupants: [Admittance.Occupant] {
        connections.values.filter { $0.side == .downstream }.map { connection in
            Admittance.Occupant(
                session: connection.session, isMember: connection.isMember,
                isBusy: connection.isFollower || isAnswering(connection), spokeAt: connection.spokeAt)
        }
    }

    /// An administrator waits for the end of what it asked for.
    private func isAnswering(_ connection: ReplicationConnection) -> Bool {
        connection.isChangingSlots || waitingForPromotion.contains { $0 === connection }
            || waitingForSwitchover.contains { $0 === connection } || verifications.contains { $0.connection === connection }
    }

    private func makeRoom(isMember: Bool) -> Bool {
        switch Admittance.decide(isMember: isMember, among: occupants, leaving: leavingCount) {
        case .admit: return true
        case .refuse: return false
        case .replace(let session):
            connections[session]?.close(.stop(ReplicationStop(.tooMany, "another connection needs the place")))
            return true
        }
    }

    /// Connections that nobody has heard of for too long.
    func dismissSilent() {
        for session in Admittance.overdue(occupants, now: Self.now()) {
            connections[session]?.close(.stop(ReplicationStop(.silent, "nothing was said for too long")))
        }
    }

    /// What was sent last is still on its way over `channel`, which `patience` closes at the latest.
    func takesLeave(_ channel: any Channel, _ patience: Scheduled<Void>) {
        leavingCount += 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        channel.closeFuture.whenComplete { _ in
            patience.cancel()
            bound.value.leavingCount -= 1
        }
    }

    /// CONNECT was answered.
    func connected(_ connection: ReplicationConnection) {
        guard connection.side == .upstream else { return }
        noteDial(succeeded: true)
        handle(.upstreamConnected(connection.session))
    }

    func refused(_ connection: ReplicationConnection, _ reason: String) {
        logger.warning("a node refuses replication", metadata: ["reason": "\(reason)"])
        if connection.side == .upstream { noteDial(succeeded: false) }
    }

    // MARK: - Going

    func noteDamagedFrame(from connection: ReplicationConnection) {
        counters.alarmed()
        logger.error("a frame was damaged on its way", metadata: ["peer": "\(connection.peerName ?? "")"])
    }

    func connectionEnded(_ connection: ReplicationConnection) {
        waitingForPromotion.removeAll { $0 === connection }
        waitingForSwitchover.removeAll { $0 === connection }
        waitingForSlots.removeAll { $0 === connection }
        endVerifications(of: connection)
        if connection.side == .peer {
            for link in peers.values { link.forget(connection) }
            return
        }
        tails[connection.session] = nil
        guard connections.removeValue(forKey: connection.session) != nil else { return }
        waitingForSnapshot.removeAll { $0 === connection }
        handle(.closed(connection.session))
        if pulling == connection.session { endSnapshot("the connection ended") }
    }

    func close(_ session: SessionID, _ reason: CloseReason) {
        tails[session] = nil
        connections.removeValue(forKey: session)?.close(reason)
        if pulling == session { endSnapshot("the connection was closed") }
    }

    // MARK: - What arrives

    func take(_ message: ReplicationMessage, from connection: ReplicationConnection) {
        switch connection.side {
        case .upstream:
            if case .snapshotManifest(let manifest) = message { return take(manifest, from: connection) }
            handle(.upstream(connection.session, message))
        case .peer: break
        case .downstream: takeDownstream(message, from: connection)
        }
    }

    private func takeDownstream(_ message: ReplicationMessage, from connection: ReplicationConnection) {
        switch message {
        case .hello(let hello):
            connection.peer = hello.node
            connection.peerName = hello.name
            connection.isFollower = true
            connection.takesCompressed =
                hello.features.contains(ReplicationFeature.lz4) && compression.applies(to: connection.remoteAddress)
            handle(.downstream(connection.session, message))
        case .fence(let fence): handle(.peer(fence.candidate, message))
        case .fenced(let reply): handle(.peer(reply.node, message))
        case .promoted(let promoted): handle(.peer(promoted.leader, message))
        case .switchover(let order):
            if order.epoch != nil, let peer = connection.peer {
                handle(.peer(peer, message))
            } else {
                beginSwitchover(order, for: connection)
            }
        case .nodeStatus: connection.send(.nodeStatusReply(node.status()))
        case .slotAdmin(let request): administer(request, for: connection)
        case .verify(let request): verify(request, from: connection)
        case .snapshotBegin, .snapshotGet, .snapshotDone:
            handle(.downstream(connection.session, message))
            takeSnapshotRequest(message, from: connection)
        case .readIndex(let request):
            handle(.readIndex(connection.session, request, visible: engine.visibleLSN))
        default: handle(.downstream(connection.session, message))
        }
    }

    /// What is no message between nodes: an administrator's wish. False when it makes no sense.
    func takeOther(
        _ type: MessageType, _ payload: UnsafeRawBufferPointer, requestID: UInt32?, from connection: ReplicationConnection
    ) -> Bool {
        guard connection.side == .downstream, type == .promote else { return false }
        let value = (try? MessagePackValue(decoding: payload)) ?? .map([])
        let isForced = value["force"] == .bool(true)
        if node.role == .leader, gate.leads {
            connection.answer(.success, promotionAnswer(epoch: node.promise.epoch))
            return true
        }
        if node.setup.configuration.members.count == 1, node.leader != nil, !isForced {
            connection.refuse(
                WireError(
                    .conflict,
                    "This node counts nobody but itself (members is not set), so it cannot keep the present leader from going on; "
                        + "with force it leads all the same"))
            return true
        }
        promote(isForced ? .acceptLoss : .none, for: connection)
        return true
    }

    /// A WAL_BATCH. With `owner` the payload lies in it at `offset`, and the records stay there.
    func takeBatch(
        _ payload: UnsafeRawBufferPointer, owner: ByteBuffer?, offset: Int, from connection: ReplicationConnection
    ) -> Bool {
        guard connection.side == .upstream, let (header, bytes) = try? BatchHeader.decode(payload) else { return false }
        counters.received(bytes.count)
        switch ArrivalCheck.check(header, bytes) {
        case .failure(let fault): handle(.damagedBatch(connection.session, reason: fault.reason))
        case .success(let arrival):
            let records: ByteBuffer
            if let owner {
                let start = offset + (bytes.baseAddress! - payload.baseAddress!)
                records = owner.getSlice(at: start, length: bytes.count)!
            } else {
                records = ByteBuffer(bytes: bytes)
            }
            arriving = (records, header.previousChain)
            handle(.batch(connection.session, arrival))
            arriving = nil
        }
        return true
    }
}

extension MessagePackValue {
    /// A node's id as it travels.
    var nodeID: NodeID? {
        switch self {
        case .uint(let number): NodeID(rawValue: number)
        case .int(let number): NodeID(rawValue: UInt64(bitPattern: number))
        default: nil
        }
    }
}
