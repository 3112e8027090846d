// One connection between nodes, on either side: frames in, frames out. It knows which side it is and nothing of replication.
//
//     upstream    dialled by a follower          CONNECT ─► SUCCESS ─► connected ─► messages
//     downstream  accepted, handed over by a request loop after CONNECT: followers, candidates, administrators
//     peer        dialled for FENCE, FENCED, PROMOTED, SWITCHOVER; nothing comes back on it
//
// Confined to the replication loop.

import CSupport
import NIOCore
import NexaReplication
import NexaStorage
import NexaTLS
import NexaWire

final class ReplicationConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Side: Sendable, Equatable { case upstream, downstream, peer }

    /// A record of the largest size, and what is around it.
    static let frameByteCountMax = RecordHeader.storedByteCountMax + (1 << 20)
    /// What comes to an upstream is control messages only.
    static let controlByteCountMax = 1 << 20

    let session: SessionID
    let side: Side
    private let shell: ReplicationShell
    /// The node at the other end, as it says.
    var peer: NodeID?
    var peerName: String?
    /// Of a connection that came: whether the user it logged in as may still replicate.
    var isWelcome: @Sendable () -> Bool = { true }
    /// It has introduced itself with a hello.
    var isFollower = false
    /// It came under the name of a member.
    var isMember = false
    /// When the last bytes came, whole frames or not.
    private(set) var heardAt = ReplicationShell.now()
    /// When the last whole frame came.
    private(set) var spokeAt = ReplicationShell.now()
    /// What it has asked for of a snapshot.
    var pieces = PieceQueue()
    /// A SLOT_ADMIN of it is being written down.
    var isChangingSlots = false
    /// Both ends agreed that each frame has a checksum: see `FrameSeal`.
    var isSealed = false
    /// Its batches may be compressed.
    var takesCompressed = false
    /// CONNECT was answered.
    private(set) var isConnected: Bool
    private(set) var isClosed = false
    private var context: ChannelHandlerContext?
    private var inbound: ByteBuffer?
    private var parser: FrameParser
    private var isTaking = false
    private let inflater = FrameInflater()
    private let scratch = OutputBytes(capacity: 1024)
    /// Frames before the connection is there.
    private var waiting: [ReplicationMessage] = []
    private static let waitingCountMax = 64
    /// Answers that the socket has not taken. Batches are bounded by their window, pieces by their queue, and do not count.
    private var untakenByteCount = 0
    /// Nothing is taken from who leaves so much unread.
    private static let untakenByteCountMax = 1 << 20
    private var isReadingHeld = false
    /// How long the last word may take.
    private static let leaveTaking: TimeAmount = .seconds(5)

    init(_ side: Side, session: SessionID, shell: ReplicationShell) {
        self.side = side
        self.session = session
        self.shell = shell
        parser = FrameParser(
            payloadByteCountMax: side == .upstream ? Self.frameByteCountMax : Self.controlByteCountMax,
            acceptedFlags: [.requestID, .compressed, .sealed])
        isConnected = side == .downstream
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        // Closed before it was there.
        guard !isClosed else { return context.close(promise: nil) }
        if side == .downstream { return answerConnect() }
        let mark = scratch.beginFrame(.connect)
        var fields: [MessagePackValue.Entry] = [
            .init("client", .string("nexadb-node")), .init("version", .string(shell.identity.version)),
            .init("dialect", .string("plain")), .init("purpose", .string("replication")),
            .init("node", .uint(shell.node.setup.id.rawValue)), .init("name", .string(shell.node.setup.name)),
            .init("seals", .bool(true)),
        ]
        if let logIn = shell.logIn {
            fields.append(.init("username", .string(logIn.user)))
            fields.append(.init("password", .string(logIn.password)))
        }
        MessagePackValue.map(fields).encode(into: scratch)
        scratch.endFrame(mark)
        flush()
    }

    /// `isSealed` is what the other end asked for; it holds from the answer on, which itself has no seal.
    private func answerConnect() {
        let asksForSeals = isSealed
        isSealed = false
        defer { isSealed = asksForSeals }
        let mark = scratch.beginFrame(.success)
        MessagePackValue.map([
            .init("status", .string("connected")), .init("server", .string("NexaDB")),
            .init("version", .string(shell.identity.version)), .init("node_id", .string(shell.identity.id)),
            .init("node", .uint(shell.node.setup.id.rawValue)), .init("name", .string(shell.node.setup.name)),
            .init("role_in_cluster", .string(shell.node.role.rawValue)), .init("seals", .bool(asksForSeals)),
        ]).encode(into: scratch)
        scratch.endFrame(mark)
        flush()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        heardAt = ReplicationShell.now()
        var buffer = unwrapInboundIn(data)
        if inbound == nil { inbound = buffer } else { inbound!.writeBuffer(&buffer) }
        takeFrames()
    }

    /// A write that fails makes NIO read what is left, within that write: such bytes come while another frame or event is being taken.
    private func takeFramesLater() {
        let bound = NIOLoopBound(self, eventLoop: shell.eventLoop)
        shell.eventLoop.execute { bound.value.takeFrames() }
    }

    func channelInactive(context: ChannelHandlerContext) { forget() }
    func handlerRemoved(context: ChannelHandlerContext) { forget() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isConnected, let reason = TLSFailure.reason(of: error) { shell.refused(self, "TLS: \(reason)") }
        context.close(promise: nil)
    }

    private func forget() {
        guard !isClosed else { return }
        isClosed = true
        context = nil
        inbound = nil
        shell.connectionEnded(self)
    }

    // MARK: Input

    /// What waited for a promise may be taken.
    func readOn() { takeFrames() }

    private enum Taken {
        case frame(Int)
        case more, broken, damaged
    }

    private func takeFrames() {
        guard !isTaking, !shell.isHandling else { return takeFramesLater() }
        isTaking = true
        defer { isTaking = false }
        while !isClosed, let buffer = inbound {
            if side == .upstream && shell.isPromising { return }
            if side == .downstream && untakenByteCount > Self.untakenByteCountMax { return holdReading() }
            let taken: Taken = buffer.withUnsafeReadableBytes { bytes in
                switch parser.step(bytes) {
                case .needMoreBytes: return .more
                case .frame(let frame):
                    guard isSealed else { return take(frame, in: bytes) ? .frame(frame.byteCount) : .broken }
                    guard let opened = FrameSeal.open(frame, in: bytes) else { return .damaged }
                    return take(opened, in: bytes) ? .frame(frame.byteCount) : .broken
                case .rejected, .failed: return .broken
                }
            }
            guard !isClosed else { return }
            switch taken {
            case .frame(let count):
                spokeAt = heardAt
                inbound!.moveReaderIndex(forwardBy: count)
                if inbound!.readableBytes == 0 { inbound = nil }
            case .more:
                if inbound!.readerIndex > 1 << 20 { inbound!.discardReadBytes() }
                return
            case .broken: return close(.stop(ReplicationStop(.protocolError, "a frame cannot be read")))
            case .damaged:
                shell.noteDamagedFrame(from: self)
                return close(.stop(ReplicationStop(.damagedRecord, "a frame was damaged on its way")))
            }
        }
    }

    /// False when the connection makes no sense any more.
    private func take(_ frame: Frame, in bytes: UnsafeRawBufferPointer) -> Bool {
        guard let type = frame.type, let payload = try? inflater.payload(of: frame) else { return false }
        if !isConnected { return takeConnectAnswer(type, payload) }
        guard isWelcome() else {
            refuse(WireError(.forbidden, "Permission denied: this user may not replicate any more"))
            return false
        }
        if type == .walBatch {
            // Without compression the records stay in the receive buffer: a slice of it travels on.
            var owner: ByteBuffer?
            var offset = 0
            if frame.inflatedByteCount == nil, let inbound {
                owner = inbound
                offset = inbound.readerIndex + (payload.baseAddress! - bytes.baseAddress!)
            }
            shell.counters.received(wire: frame.byteCount)
            return shell.takeBatch(payload, owner: owner, offset: offset, from: self)
        }
        if type == .snapshotChunk {
            guard side == .upstream, let (header, bytes) = try? ChunkHeader.decode(payload) else { return false }
            shell.take(header, ByteBuffer(bytes: bytes), from: self)
            return true
        }
        do throws(MessageError) {
            shell.take(try ReplicationMessage(type, decoding: payload), from: self)
            return true
        } catch {
            return shell.takeOther(type, payload, requestID: frame.requestID, from: self)
        }
    }

    private func takeConnectAnswer(_ type: MessageType, _ payload: UnsafeRawBufferPointer) -> Bool {
        let answer = try? MessagePackValue(decoding: payload)
        guard type == .success else {
            shell.refused(self, answer?["error"]?.stringValue ?? type.name)
            return false
        }
        if case .uint(let id)? = answer?["node"] { peer = NodeID(rawValue: id) }
        if case .int(let id)? = answer?["node"] { peer = NodeID(rawValue: UInt64(bitPattern: id)) }
        peerName = answer?["name"]?.stringValue
        isSealed = answer?["seals"] == .bool(true)
        isConnected = true
        for message in waiting { message.writeFrame(into: scratch) }
        waiting.removeAll()
        flush()
        shell.connected(self)
        return true
    }

    private func holdReading() {
        guard !isReadingHeld, let context else { return }
        isReadingHeld = true
        _ = context.channel.setOption(.autoRead, value: false)
    }

    private func wasTaken(_ byteCount: Int) {
        untakenByteCount -= byteCount
        guard isReadingHeld, !isClosed, let context, untakenByteCount <= Self.untakenByteCountMax / 2 else { return }
        isReadingHeld = false
        _ = context.channel.setOption(.autoRead, value: true)
        takeFramesLater()
    }

    // MARK: Output

    func send(_ message: ReplicationMessage) {
        // What travels by itself may be lost.
        guard !isClosed, side != .peer || untakenByteCount <= Self.untakenByteCountMax else { return }
        guard isConnected else {
            if waiting.count < Self.waitingCountMax { waiting.append(message) }
            return
        }
        message.writeFrame(into: scratch)
        flush()
    }

    /// Sends, and calls `whenTaken` when the socket has taken it, or has ended.
    func send(_ message: ReplicationMessage, whenTaken: @escaping @Sendable () -> Void) {
        guard !isClosed, isConnected, let context else { return whenTaken() }
        message.writeFrame(into: scratch)
        let taken = context.eventLoop.makePromise(of: Void.self)
        taken.futureResult.whenComplete { _ in whenTaken() }
        flush(taken)
    }

    /// An answer that is no replication message: for administrators.
    func answer(_ type: MessageType, _ value: MessagePackValue) {
        guard !isClosed else { return }
        let mark = scratch.beginFrame(type)
        value.encode(into: scratch)
        scratch.endFrame(mark)
        flush()
    }

    func refuse(_ error: WireError) {
        guard !isClosed else { return }
        scratch.writeErrorFrame(error)
        flush()
    }

    /// One WAL_BATCH; `records` are copied once more, into what the socket takes. Returns the bytes of its frame.
    func sendBatch(_ header: BatchHeader, records: UnsafeRawBufferPointer) -> Int {
        guard !isClosed else { return 0 }
        let byteCount = scratch.writeBatchFrame(header, records: records, isCompressed: takesCompressed)
        flush(counts: false)
        if scratch.capacityByteCount > 2 << 20 { scratch.removeAll(keepingCapacity: false) }
        return byteCount + (isSealed ? FrameSeal.byteCount : 0)
    }

    /// The IP address of the other end.
    var remoteAddress: String? { context?.channel.remoteAddress?.ipAddress }

    /// A piece of a snapshot; `whenTaken` as above. That it is gone, or could not be read, ends the connection.
    func sendChunk(
        _ get: SnapshotGet, _ piece: Result<CheckpointShelf.Piece?, any Error>, whenTaken: @escaping @Sendable () -> Void
    ) {
        guard !isClosed, let context else { return }
        guard let piece = try? piece.get() else { return close(.stop(ReplicationStop(.slotLost, "the snapshot is gone"))) }
        piece.writeFrame(for: get, into: scratch)
        let taken = context.eventLoop.makePromise(of: Void.self)
        taken.futureResult.whenComplete { _ in whenTaken() }
        flush(taken, counts: false)
        if scratch.capacityByteCount > 2 << 20 { scratch.removeAll(keepingCapacity: false) }
    }

    /// Hands what was written to the socket. With `counts` it holds up what comes from the other end until the socket has taken it.
    private func flush(_ taken: EventLoopPromise<Void>? = nil, counts: Bool = true) {
        guard let context, !scratch.isEmpty else {
            taken?.succeed()
            return
        }
        var buffer = context.channel.allocator.buffer(capacity: scratch.byteCount + FrameSeal.byteCount)
        if isSealed { FrameSeal.write(scratch.bytes, into: &buffer) } else { buffer.writeBytes(scratch.bytes) }
        scratch.removeAll(keepingCapacity: true)
        guard counts else { return context.writeAndFlush(wrapOutboundOut(buffer), promise: taken) }
        let byteCount = buffer.readableBytes
        untakenByteCount += byteCount
        let promise = taken ?? context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in bound.value.wasTaken(byteCount) }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
    }

    /// Ends the connection behind what was sent, or when that takes too long; the shell hears no more of it.
    func close(_ reason: CloseReason) {
        guard !isClosed else { return }
        if case .stop(let stop) = reason, isConnected { send(.stop(stop)) }
        guard let context else { return forget() }
        let channel = context.channel
        let patience = shell.eventLoop.scheduleTask(in: Self.leaveTaking) { channel.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in channel.close(promise: nil) }
        shell.takesLeave(channel, patience)
        forget()
    }
}
