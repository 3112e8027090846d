import Glibc
import NexaStorage
import NexaWire

/// A tiny node in this process for the tests of the tools: plain dialect, one thread a connection, documents in a dictionary. It
/// answers what it is asked and can be told to misbehave.
final class StandInNode: Sendable {
    enum Fault: Sendable {
        case none
        /// Every n-th READ is answered NOT_FOUND.
        case losesReads(every: Int)
        /// READ answers another document.
        case answersWrongDocument
        /// Every request but CONNECT is an ERROR.
        case refusesAll
        /// QUERY answers what answers no QUERY.
        case answersQuery(MessageType, MessagePackValue)
        /// BATCH_WRITE answers this, whatever was sent.
        case answersBatch(MessagePackValue)
        /// PING answers what is no MessagePack.
        case answersRubbish
        /// The connection closes after this many requests.
        case hangsUp(after: Int)
    }

    let port: UInt16
    private let listener: Int32
    private let fault: Fault
    /// Guarded by `lock`, a pthread mutex: ThreadSanitizer does not see what `Mutex` orders.
    nonisolated(unsafe) private var documents: [String: MessagePackValue] = [:]
    private let lock = NexaLock()

    init(_ fault: Fault = .none) {
        self.fault = fault
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                precondition(bind(listener, address, length) == 0 && listen(listener, 128) == 0)
                getsockname(listener, address, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        Self.thread { [self] in
            while case let descriptor = accept(listener, nil, nil), descriptor >= 0 {
                Self.thread { [self] in serve(descriptor) }
            }
        }
    }

    /// No more connections; those that are open end with their clients.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    var count: Int { withDocuments { $0.count } }

    private func withDocuments<Result>(_ body: (inout [String: MessagePackValue]) -> Result) -> Result {
        lock.withLock { body(&documents) }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        final class Body {
            let run: @Sendable () -> Void
            init(_ run: @escaping @Sendable () -> Void) { self.run = run }
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(Body(body)).toOpaque())
        pthread_detach(thread)
    }

    private func serve(_ descriptor: Int32) {
        defer { close(descriptor) }
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        var served = 0
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count <= 0 { return }
            input += chunk[..<count]
            let output = OutputBytes()
            while let (type, payload, whole) = Self.frame(input) {
                input.removeFirst(whole)
                served += 1
                if case .hangsUp(let after) = fault, served > after { return }
                answer(type, payload, number: served, into: output)
            }
            guard Self.sendAll(descriptor, output) else { return }
        }
    }

    private static func sendAll(_ descriptor: Int32, _ output: OutputBytes) -> Bool {
        output.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let count = send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
                if count < 0 { return false }
                sent += count
            }
            return true
        }
    }

    /// The first frame when it is complete.
    private static func frame(_ input: [UInt8]) -> (MessageType, MessagePackValue, Int)? {
        guard input.count >= FrameHeader.byteCount, let header = input.withUnsafeBytes({ FrameHeader($0) }),
            let type = MessageType(rawValue: header.type)
        else { return nil }
        let whole = FrameHeader.byteCount + Int(header.payloadByteCount)
        guard input.count >= whole else { return nil }
        let payload = try? MessagePackValue(decoding: Array(input[FrameHeader.byteCount..<whole]))
        return payload.map { (type, $0, whole) }
    }

    private func answer(_ type: MessageType, _ payload: MessagePackValue, number: Int, into output: OutputBytes) {
        func reply(_ type: MessageType, _ value: MessagePackValue) {
            let mark = output.beginFrame(type)
            value.encode(into: output)
            output.endFrame(mark)
        }
        if case .refusesAll = fault, type != .connect {
            return output.writeErrorFrame(WireError(.readOnly, "the disk is full"))
        }
        let key = payload["key"]?.stringValue ?? ""
        switch type {
        case .connect: reply(.success, ["status": "connected", "server": "stand-in", "version": "0"])
        case .ping:
            guard case .answersRubbish = fault else { return reply(.pong, ["status": "ok"]) }
            let mark = output.beginFrame(.pong)
            output.appendU8(0xC1)
            output.endFrame(mark)
        case .create:
            guard let document = payload["data"] else { return reply(.error, ["code": "BAD_REQUEST", "error": "no data"]) }
            let id = document["_id"]?.stringValue ?? "generated\(number)"
            let isNew = withDocuments { $0.updateValue(document, forKey: id) == nil }
            reply(isNew ? .success : .duplicate, isNew ? document : ["id": .string(id), "error": "Duplicate key"])
        case .batchWrite:
            if case .answersBatch(let value) = fault { return reply(.success, value) }
            let batch = payload["documents"]?.arrayValue ?? []
            let ids = batch.compactMap { $0["_id"]?.stringValue }
            withDocuments { all in for (id, document) in zip(ids, batch) { all[id] = document } }
            reply(.success, ["ids": .array(ids.map { .string($0) }), "count": .int(Int64(ids.count))])
        case .read: answerRead(key, number, reply)
        case .update:
            let found = withDocuments { $0[key] }
            reply(found == nil ? .notFound : .success, found ?? ["error": "Not found"])
        case .query:
            if case .answersQuery(let type, let value) = fault { return reply(type, value) }
            let from = payload["filters"]?["_id"]?["$gte"]?.stringValue ?? ""
            let limit = Int(payload["limit"]?.intValue ?? .max)
            let all = withDocuments { $0.filter { $0.key >= from }.sorted { $0.key < $1.key }.prefix(limit).map(\.value) }
            reply(.success, .array(all))
        case .count: reply(.success, ["count": .int(Int64(count))])
        case .listCollections: reply(.success, [["name": "bench"], ["name": "users"]])
        case .status: reply(.success, ["version": "0", "storage": ["wal_bytes": 2048, "healthy": true]])
        default: output.writeErrorFrame(WireError(.unknownType, "the stand-in does not know \(type.name)"))
        }
    }

    private func answerRead(_ key: String, _ number: Int, _ reply: (MessageType, MessagePackValue) -> Void) {
        if case .losesReads(let every) = fault, number % every == 0 { return reply(.notFound, ["error": "Not found"]) }
        if case .answersWrongDocument = fault { return reply(.success, ["_id": "user000000000000", "name": "somebody else"]) }
        let found = withDocuments { $0[key] }
        reply(found == nil ? .notFound : .success, found ?? ["error": "Not found"])
    }
}
