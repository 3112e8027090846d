/// Requests on their way in: whole frames are served where they lie, in order, until one has to wait.
///
/// A payload is checked before anything looks at it, and the check costs up to 100 ns a byte: a large one is left to the work pool,
/// check and all, so that nobody's request holds up the other connections of the loop for more than a few milliseconds.

import NIOCore
import NexaDocuments
import NexaStorage
import NexaWire

extension ConnectionHandler {
    /// Larger payloads are checked in the work pool, and refused where the loop itself must answer.
    private static let inlinePayloadByteCountMax = 256 << 10

    // MARK: Bytes

    /// Takes whole frames from a caller in this process.
    func receive(_ frames: UnsafeRawBufferPointer) {
        arrival = MonotonicTime.nanoseconds()
        if inbound == nil {
            // Served where they are; what has to wait is kept.
            let used = serve(frames)
            if used < frames.count { inbound = ByteBuffer(bytes: frames[used...]) }
        } else {
            inbound!.writeBytes(frames)
            takeInbound()
        }
        served()
    }

    func receive(_ buffer: inout ByteBuffer, allocator: ByteBufferAllocator) {
        arrival = MonotonicTime.nanoseconds()
        if inbound == nil {
            take(&buffer)
            if buffer.readableBytes > 0 {
                // Copied, so that the receive buffer can be used again.
                var rest = allocator.buffer(capacity: max(512, buffer.readableBytes))
                rest.writeBuffer(&buffer)
                inbound = rest
            }
        } else {
            inbound!.writeBuffer(&buffer)
            takeInbound()
        }
    }

    /// Serves the whole frames at the front of `buffer` and drops them.
    private func take(_ buffer: inout ByteBuffer) {
        var used = 0
        buffer.withUnsafeReadableBytes { bytes in used = serve(bytes) }
        buffer.moveReaderIndex(forwardBy: used)
    }

    /// Serves what could not be served before.
    func takeInbound() {
        guard var buffer = inbound else { return }
        inbound = nil
        take(&buffer)
        guard buffer.readableBytes > 0, machine.phase == .open else { return }
        if buffer.readerIndex > 64 << 10 || buffer.readerIndex > buffer.readableBytes { buffer.discardReadBytes() }
        inbound = buffer
    }

    private func serve(_ bytes: UnsafeRawBufferPointer) -> Int {
        var offset = 0
        var isPartial = false
        requestWaits = false
        loop: while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            switch machine.decide(rest) {
            case .execute(let frame), .control(let frame):
                execute(frame)
                offset += frame.byteCount
            case .reject(let rejection):
                refuse(DocumentError(rejection.error), requestID: rejection.requestID)
                offset += rejection.byteCount
            case .fail(let error):
                refuse(DocumentError(TLSHello.begins(rest) ? TLSHello.refusal : error), requestID: nil)
                drain()
            case .needMoreBytes:
                isPartial = !rest.isEmpty
                if machine.inputHasEnded {
                    machine.drain()
                    offset = bytes.count
                }
                break loop
            case .wait:
                requestWaits = true
                break loop
            case .discard:
                offset = bytes.count
                break loop
            }
        }
        machine.clock.partialFrame(isPartial, at: self.loop.now)
        return offset
    }

    // MARK: Requests

    private func execute(_ frame: Frame) {
        loop.metrics.countRequest(frame.header.type)
        machine.clock.served(at: loop.now)
        guard let type = frame.type else {
            return answer(frame.requestID, with: Executor.unknownType(frame.header.type))
        }
        let payload: UnsafeRawBufferPointer
        do throws(WireError) {
            payload = try loop.executor.inflater.payload(of: frame)
        } catch {
            answer(frame.requestID, with: DocumentError(error))
            drain()
            return
        }
        let wantsToken = frame.header.flags.contains(.token)
        if payload.count > Self.inlinePayloadByteCountMax, type != .ping {
            if type.belongsToConnection { return answer(frame.requestID, with: Self.tooLarge(type)) }
            return depart(type, frame, payload, wantsToken: wantsToken, isValidated: false)
        }
        let start = machine.answers.byteCount
        let outcome = loop.executor.execute(
            type: type, requestID: frame.requestID, wantsToken: wantsToken, payload: payload, session: &session, floor: floor,
            into: machine.answers.bytes)
        if case .answered(let hold, let count) = outcome {
            let isHeld = self.hold(
                from: start, until: hold, commitCount: count, requestID: frame.requestID, arrival: arrival,
                type.isWrite ? .write : .read)
            if !isHeld { answeredCount += 1 }
            if type == .connect { connected() }
        } else {
            carryOut(outcome, type, frame, payload, wantsToken: wantsToken)
        }
    }

    /// What the executor left to the connection.
    private func carryOut(
        _ outcome: Outcome, _ type: MessageType, _ frame: Frame, _ payload: UnsafeRawBufferPointer, wantsToken: Bool
    ) {
        switch outcome {
        case .logIn(let credentials): return begin(credentials, frame, payload, wantsToken: wantsToken)
        case .offload: return depart(type, frame, payload, wantsToken: wantsToken)
        case .replicate(let principal): return handOver(payload, principal)
        case .disconnect:
            for task in tasks { task.cancel() }
            drain()
        case .cancel(let target): cancel(target, requestID: frame.requestID)
        case .credit(let stream, let count): credit(stream, count)
        case .subscribe(let request): subscribe(request, requestID: frame.requestID)
        case .unsubscribe(let target): unsubscribe(target, requestID: frame.requestID)
        case .answered, .work: preconditionFailure("answers are dealt with, and long work does not begin on an event loop")
        }
        answeredCount += 1
    }

    /// CONNECT was answered, with what was agreed on or an error.
    func connected() {
        if session.features.contains(.lz4) { machine.acceptCompressedRequests() }
        if session.isUnlimited || session.principal != nil { machine.loggedIn() }
    }

    // MARK: Refusals

    /// Answers a request that was not executed.
    private func answer(_ requestID: UInt32?, with error: DocumentError) {
        answeredCount += 1
        refuse(error, requestID: requestID)
    }

    func refuse(_ error: DocumentError, requestID: UInt32?) {
        loop.executor.fail(error, session, requestID: requestID, into: machine.answers.bytes)
    }

    private static func tooLarge(_ type: MessageType) -> DocumentError {
        DocumentError(
            .tooLarge, "\(type.name) has at most \(inlinePayloadByteCountMax) bytes",
            details: [.init("limit", .int(Int64(inlinePayloadByteCountMax)))])
    }
}

extension MessageType {
    /// Changes its connection or what goes on there, so that no other thread can answer it.
    fileprivate var belongsToConnection: Bool {
        switch self {
        case .connect, .disconnect, .bind, .cancel, .cursorCredit, .subscribeChanges, .unsubscribeChanges: true
        default: false
        }
    }
}
