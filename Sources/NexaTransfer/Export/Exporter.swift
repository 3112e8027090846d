import CSupport
import NexaBlockingClient
import NexaWire

package struct ExportSummary: Sendable {
    package var documents: UInt64
    package var bytes: UInt64
    package var elapsed: Duration
    /// It was told to stop, and the file is not there.
    package var isStopped: Bool
}

/// Writes the result of a query to a file: one snapshot, from its first document to its last. Confined to one thread.
package struct Exporter {
    private let plan: ExportPlan
    private let connection: ClientConnection
    private var writer: DocumentWriter
    private var documents: UInt64 = 0

    package init(_ plan: ExportPlan, _ endpoint: Endpoint, _ options: ClientConnection.Options) throws(TransferError) {
        var options = options
        // The envelope dialect adds no `id` to documents.
        options.dialect = "envelope"
        options.features = ["stream"]
        self.plan = plan
        writer = DocumentWriter(plan)
        do throws(ClientError) { connection = try ClientConnection.open(endpoint, options) } catch { throw .client(error) }
    }

    /// Exports everything, or until `tick` says false; it hears the documents so far with each piece that comes.
    package mutating func run(_ tick: (UInt64, Duration) -> Bool) throws(TransferError) -> ExportSummary {
        let began = ContinuousClock.now
        let file = try ExportFile(path: plan.path)
        do throws(TransferError) {
            writer.begin(file.buffer)
            let isWhole = try copy(to: file) { documents in tick(documents, .now - began) }
            writer.end(file.buffer)
            if isWhole { try file.finish() } else { file.abandon() }
            return ExportSummary(documents: documents, bytes: file.byteCount, elapsed: .now - began, isStopped: !isWhole)
        } catch {
            file.abandon()
            throw error
        }
    }

    /// False when `goOn` said so before the end.
    private mutating func copy(to file: ExportFile, _ goOn: (UInt64) -> Bool) throws(TransferError) -> Bool {
        connection.enqueue(.query, plan.query)
        var credit: MessagePackValue?
        while true {
            let reply = try client { () throws(ClientError) in try connection.receiveRaw() }
            switch reply.type {
            case .success:
                try write(reply.payload, to: file)
                return true
            case .streamStart: credit = ["stream": try Self.stream(reply.payload), "credit": 1]
            case .streamChunk:
                try write(reply.payload, to: file)
                guard goOn(documents) else { return false }
                guard let credit else { throw Self.unreadable }
                try client { () throws(ClientError) in try connection.sendUnanswered(.cursorCredit, credit) }
            case .streamEnd: return true
            case .error:
                guard let payload = try? MessagePackValue(decoding: reply.payload) else { throw Self.unreadable }
                throw .client(.refused(Refusal(payload: payload)))
            default: throw .client(.protocolViolation("\(reply.type.name) answers no QUERY"))
            }
        }
    }

    private static var unreadable: TransferError { .client(.protocolViolation("an answer that cannot be read")) }

    private static func stream(_ payload: UnsafeRawBufferPointer) throws(TransferError) -> MessagePackValue {
        guard let stream = (try? MessagePackValue(decoding: payload))?["stream"] else { throw unreadable }
        return stream
    }

    private mutating func write(_ payload: UnsafeRawBufferPointer, to file: ExportFile) throws(TransferError) {
        let name: StaticString = "documents"
        let list = nexa_mp_map_find(payload.baseAddress, payload.count, name.utf8Start, name.utf8CodeUnitCount)
        var reader = MessagePackReader(UnsafeRawBufferPointer(start: list.ptr, count: list.len))
        do throws(MessagePackError) {
            for _ in 0..<(try reader.readArrayHeader()) {
                try writer.write(try reader.readRawValue(), into: file.buffer)
                documents += 1
            }
        } catch {
            throw Self.unreadable
        }
        try file.flushIfFull()
    }

    private func client<R>(_ body: () throws(ClientError) -> R) throws(TransferError) -> R {
        do throws(ClientError) { return try body() } catch { throw .client(error) }
    }
}
