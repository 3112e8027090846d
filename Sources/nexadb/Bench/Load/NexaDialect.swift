import Glibc
import NexaBlockingClient
import NexaWire

/// NEXA frames (docs/protocol.md), in the plain dialect or in the compact form with bound handles.
struct NexaDialect: LoadDialect {
    /// How requests are written.
    struct Options: Sendable {
        var database = "default"
        var collection = "bench"
        /// The handle that BIND gave; nil writes maps with names.
        var handle: UInt64?
        /// Sent with every write; nil leaves it to the server.
        var durability: String?
        /// How many nodes must have a write before it is answered; nil leaves it to the server.
        var writeConcern: Int?
        var batchCount = 1_000
        /// Creates and batches carry an `op_id` of their own, made of the first id that they write.
        var namesOperations = false
    }

    private let create, get, update, query, scan, ping, batchHead, batchItem, batchTail: RequestTemplate
    private let batchCount: Int

    init(_ options: Options) {
        let body = RequestBody(options)
        let document = RequestTemplate.document(withKey: true)
        let key = MessagePackValue.string("user" + RequestTemplate.Marker.key)
        let changes: MessagePackValue = ["age": 18]
        create = Self.frame(.create, body.write([("data", document)]), ageEnds: document)
        get = Self.frame(.read, body.read([("key", key)]))
        update = Self.frame(.update, body.write([("key", key), ("updates", changes)]), ageEnds: changes)
        query = Self.frame(
            .query, body.read([("filters", ["_id": ["$gte": key]])], options: [.init("limit", 10)]), isLimited: true)
        scan = Self.frame(.query, body.read([("filters", ["age": ["$gt": 200]])]))
        ping = Self.frame(.ping, [:])
        // A batch is its request without documents, with as many of them put in.
        let item = document.encoded()
        let parts = body.batch(options.batchCount)
        let payloadByteCount = parts.head.count + item.count * options.batchCount + parts.tail.count
        batchHead = RequestTemplate(finding: Self.header(.batchWrite, payloadByteCount) + parts.head)
        batchItem = RequestTemplate(finding: item, ageAt: item.count - 1)
        batchTail = RequestTemplate(finding: parts.tail)
        batchCount = options.batchCount
    }

    private static func header(_ type: MessageType, _ payloadByteCount: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: FrameHeader.byteCount)
        bytes.withUnsafeMutableBytes {
            FrameHeader(type: type.rawValue, payloadByteCount: UInt32(payloadByteCount)).encode(into: $0)
        }
        return bytes
    }

    /// A frame whose age is the last byte of `part`, and whose limit is the last byte of all.
    private static func frame(
        _ type: MessageType, _ payload: MessagePackValue, ageEnds part: MessagePackValue? = nil, isLimited: Bool = false
    ) -> RequestTemplate {
        let body = payload.encoded()
        let bytes = header(type, body.count) + body
        let age = part.map { part in
            let wanted = part.encoded()
            let start = (0...(bytes.count - wanted.count)).first { bytes[$0..<($0 + wanted.count)].elementsEqual(wanted) }
            return start! + wanted.count - 1
        }
        return RequestTemplate(finding: bytes, ageAt: age, limitAt: isLimited ? bytes.count - 1 : nil)
    }

    func encode(_ request: LoadRequest, into queue: inout ByteQueue) {
        switch request.operation {
        case .get, .modifyRead: append(get, request, to: &queue)
        case .create: append(create, request, to: &queue)
        case .update, .modifyWrite: append(update, request, to: &queue)
        case .query: append(query, request, to: &queue)
        case .scan: append(scan, request, to: &queue)
        case .ping: append(ping, request, to: &queue)
        case .batch:
            append(batchHead, request, to: &queue)
            var item = request
            for _ in 0..<batchCount {
                item.age = BenchRecord.age(of: item.id)
                append(batchItem, item, to: &queue)
                item.id += request.stride
            }
            append(batchTail, request, to: &queue)
        }
    }

    @inline(__always)
    private func append(_ template: RequestTemplate, _ request: LoadRequest, to queue: inout ByteQueue) {
        template.write(to: queue.reserve(template.byteCount), id: request.id, age: request.age, limit: request.limit)
        queue.advanceEnd(template.byteCount)
    }

    func scan(_ bytes: UnsafeRawPointer, _ count: Int, answering operation: LoadOperation) -> ScannedAnswer {
        guard count >= FrameHeader.byteCount else { return .incomplete }
        guard bytes.loadUnaligned(as: UInt32.self) == FrameHeader.magic.bigEndian else {
            return ScannedAnswer(byteCount: count, kind: .malformed)
        }
        let length = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let whole = FrameHeader.byteCount + Int(length)
        guard count >= whole else { return .incomplete }
        let kind: AnswerKind
        switch bytes.load(fromByteOffset: 5, as: UInt8.self) {
        case MessageType.success.rawValue: kind = operation == .ping ? .malformed : .fine
        case MessageType.pong.rawValue: kind = operation == .ping ? .fine : .malformed
        case MessageType.notFound.rawValue: kind = .miss
        case MessageType.error.rawValue, MessageType.duplicate.rawValue: kind = .refused
        default: kind = .malformed
        }
        return ScannedAnswer(byteCount: whole, kind: kind)
    }

    func isRight(_ bytes: UnsafeRawPointer, _ count: Int, answering request: LoadRequest) -> Bool {
        switch request.operation {
        case .get, .modifyRead:
            AnswerCheck.contains(bytes, count, emailOf: request.id)
                && AnswerCheck.contains(bytes, count, BenchRecord.key(of: request.id))
        case .create, .update, .modifyWrite: AnswerCheck.contains(bytes, count, BenchRecord.key(of: request.id))
        case .batch:
            AnswerCheck.contains(bytes, count, BenchRecord.key(of: request.id))
                && AnswerCheck.contains(bytes, count, BenchRecord.key(of: request.id + request.stride * UInt64(batchCount - 1)))
        case .query: AnswerCheck.contains(bytes, count, BenchRecord.key(of: request.id))
        case .scan: count > FrameHeader.byteCount
        case .ping: true
        }
    }

    func whyNot(_ operation: LoadOperation) -> String? { nil }

    func refusal(_ bytes: UnsafeRawPointer, _ count: Int) -> String {
        let payload = UnsafeRawBufferPointer(start: bytes + FrameHeader.byteCount, count: count - FrameHeader.byteCount)
        return (try? MessagePackValue(decoding: payload)).map { Refusal(payload: $0).description }
            ?? "an ERROR that is not MessagePack"
    }
}

/// Payloads before they are frames: maps with names, or the compact arrays with a bound handle.
private struct RequestBody {
    private let collection: MessagePackValue
    private let handle: MessagePackValue?
    private let common: [MessagePackValue.Entry]
    private let writeOptions: [MessagePackValue.Entry]

    init(_ options: NexaDialect.Options) {
        collection = .string(options.collection)
        handle = options.handle.map { .int(Int64($0)) }
        common = options.database == "default" ? [] : [.init("database", .string(options.database))]
        writeOptions =
            (options.durability.map { [.init("durability", .string($0))] } ?? [])
            + (options.writeConcern.map { [.init("w", .int(Int64($0)))] } ?? [])
            + (options.namesOperations ? [.init("op_id", .binary(Self.operationID()))] : [])
    }

    /// Half of it is this run's, the other half is written over in each request.
    private static func operationID() -> [UInt8] {
        (0..<12).map { _ in UInt8.random(in: 0x80...0xFF) } + Array(RequestTemplate.Marker.operation.utf8)
    }

    func read(_ fields: [(String, MessagePackValue)], options: [MessagePackValue.Entry] = []) -> MessagePackValue {
        guard let handle else {
            return .map([.init("collection", collection)] + common + fields.map { .init($0.0, $0.1) } + options)
        }
        return .array([handle] + fields.map(\.1) + (options.isEmpty ? [] : [.map(options)]))
    }

    /// In the compact form writes answer with the id alone, as the project's own clients ask for it.
    func write(_ fields: [(String, MessagePackValue)]) -> MessagePackValue {
        guard handle != nil else {
            return .map([.init("collection", collection)] + common + writeOptions + fields.map { .init($0.0, $0.1) })
        }
        return read(fields, options: [.init("return", "id")] + writeOptions)
    }

    /// What stands before and behind the `count` documents of a batch.
    func batch(_ count: Int) -> (head: [UInt8], tail: [UInt8]) {
        let output = OutputBytes()
        output.writeArrayHeader(count)
        let header = output.withUnsafeBytes { [UInt8]($0) }
        let bytes = write([("documents", [])]).encoded()
        // The empty array is the last byte of a map, and stands before the options in the compact form.
        let tail = handle == nil ? [] : MessagePackValue.map([.init("return", "id")] + writeOptions).encoded()
        return (bytes.dropLast(1 + tail.count) + header, tail)
    }
}
