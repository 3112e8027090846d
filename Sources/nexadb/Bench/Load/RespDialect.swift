import Glibc
import NexaWire

/// RESP2 as Redis and its kin speak it: a record is one string value that holds the MessagePack bytes of the document.
/// create and update are SET of the whole document, get is GET, a batch is one MSET. Where replicas must have a write, WAIT follows
/// it, and both answers together are the answer.
struct RespDialect: LoadDialect {
    private let set: RequestTemplate
    private let get: RequestTemplate
    private let ping: RequestTemplate
    /// "*N\r\n$4\r\nMSET\r\n", and one key and value of it.
    private let batchHead: RequestTemplate
    private let batchItem: RequestTemplate
    private let batchTail: RequestTemplate
    private let batchCount: Int
    private let documentByteCount: Int
    /// What WAIT must answer at least; 0 when it is not asked.
    private let replicas: Int

    init(batchCount: Int, replicas: Int = 0) {
        self.replicas = replicas
        let wait =
            replicas == 0 ? [] : Array("*3\r\n$4\r\nWAIT\r\n$\("\(replicas)".utf8.count)\r\n\(replicas)\r\n$1\r\n0\r\n".utf8)
        let document = RequestTemplate.document(withKey: false).encoded()
        let ageInDocument = document.count - 1
        let value = "$\(document.count)\r\n"
        let key = "$\(BenchRecord.keyByteCount)\r\nuser\(RequestTemplate.Marker.key)\r\n"
        let setHead = Array("*3\r\n$3\r\nSET\r\n\(key)\(value)".utf8)
        set = RequestTemplate(finding: setHead + document + Array("\r\n".utf8) + wait, ageAt: setHead.count + ageInDocument)
        get = RequestTemplate(finding: Array("*2\r\n$3\r\nGET\r\n\(key)".utf8))
        ping = RequestTemplate(finding: Array("*1\r\n$4\r\nPING\r\n".utf8))
        batchHead = RequestTemplate(finding: Array("*\(1 + 2 * batchCount)\r\n$4\r\nMSET\r\n".utf8))
        let itemHead = Array("\(key)\(value)".utf8)
        batchTail = RequestTemplate(finding: wait)
        batchItem = RequestTemplate(finding: itemHead + document + Array("\r\n".utf8), ageAt: itemHead.count + ageInDocument)
        self.batchCount = batchCount
        documentByteCount = document.count
    }

    func encode(_ request: LoadRequest, into queue: inout ByteQueue) {
        switch request.operation {
        case .create, .update, .modifyWrite: append(set, request, to: &queue)
        case .batch:
            append(batchHead, request, to: &queue)
            var item = request
            for _ in 0..<batchCount {
                item.age = BenchRecord.age(of: item.id)
                append(batchItem, item, to: &queue)
                item.id += request.stride
            }
            append(batchTail, request, to: &queue)
        case .ping: append(ping, request, to: &queue)
        case .get, .modifyRead: append(get, request, to: &queue)
        case .query, .scan: preconditionFailure("refused by whyNot")
        }
    }

    @inline(__always)
    private func append(_ template: RequestTemplate, _ request: LoadRequest, to queue: inout ByteQueue) {
        template.write(to: queue.reserve(template.byteCount), id: request.id, age: request.age, limit: request.limit)
        queue.advanceEnd(template.byteCount)
    }

    func scan(_ bytes: UnsafeRawPointer, _ count: Int, answering operation: LoadOperation) -> ScannedAnswer {
        let answer = scanOne(bytes, count, answering: operation)
        guard replicas > 0, operation.isWrite, answer.byteCount > 0, answer.kind == .fine || answer.kind == .refused else {
            return answer
        }
        let wait = scanOne(bytes + answer.byteCount, count - answer.byteCount, answering: operation)
        guard wait.byteCount > 0 else { return .incomplete }
        let reached = number(bytes + answer.byteCount, wait.byteCount)
        return ScannedAnswer(
            byteCount: answer.byteCount + wait.byteCount,
            kind: answer.kind == .fine && reached < replicas ? .refused : answer.kind)
    }

    /// The number in an answer `:N\r\n`; -1 when it is none.
    private func number(_ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        guard count > 3, bytes.load(as: UInt8.self) == UInt8(ascii: ":") else { return -1 }
        var value = 0
        for at in 1..<(count - 2) { value = value * 10 + Int(bytes.load(fromByteOffset: at, as: UInt8.self)) - 48 }
        return value
    }

    private func scanOne(_ bytes: UnsafeRawPointer, _ count: Int, answering operation: LoadOperation) -> ScannedAnswer {
        guard count > 0, let lineEnd = memchr(bytes, 10, count) else { return .incomplete }
        let lineByteCount = UnsafeRawPointer(lineEnd) - bytes + 1
        switch bytes.load(as: UInt8.self) {
        case UInt8(ascii: "+"), UInt8(ascii: ":"):
            return ScannedAnswer(byteCount: lineByteCount, kind: operation == .get ? .malformed : .fine)
        case UInt8(ascii: "-"):
            return ScannedAnswer(byteCount: lineByteCount, kind: .refused)
        case UInt8(ascii: "$"):
            if bytes.load(fromByteOffset: 1, as: UInt8.self) == UInt8(ascii: "-") {
                return ScannedAnswer(byteCount: lineByteCount, kind: .miss)
            }
            var length = 0
            for at in 1..<(lineByteCount - 2) {
                length = length * 10 + Int(bytes.load(fromByteOffset: at, as: UInt8.self)) - 48
            }
            let whole = lineByteCount + length + 2
            return whole <= count ? ScannedAnswer(byteCount: whole, kind: .fine) : .incomplete
        default:
            return ScannedAnswer(byteCount: lineByteCount, kind: .malformed)
        }
    }

    func isRight(_ bytes: UnsafeRawPointer, _ count: Int, answering request: LoadRequest) -> Bool {
        switch request.operation {
        case .get, .modifyRead:
            count > documentByteCount && AnswerCheck.contains(bytes, count, emailOf: request.id)
        case .create, .update, .modifyWrite, .batch:
            count >= 5 && (count == 5 || replicas > 0) && memcmp(bytes, "+OK\r\n", 5) == 0
        case .ping: count == 7 && memcmp(bytes, "+PONG\r\n", 7) == 0
        case .query, .scan: false
        }
    }

    func whyNot(_ operation: LoadOperation) -> String? {
        switch operation {
        case .query, .scan: "Redis has no ordered or filtered look-up of values; there is nothing to compare"
        default: nil
        }
    }

    func refusal(_ bytes: UnsafeRawPointer, _ count: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(start: bytes + 1, count: max(0, count - 3)), as: UTF8.self)
    }
}
