/// Answers of the node as JSON of the gateway: `{"status":"success",...}` with the fields of the node's map behind it, bytes to bytes.

import HTTPTypes
import NIOCore
import NexaServer
import NexaWire

/// JSON text while it is written.
struct JSONBody {
    let output: OutputBytes
    let style: JSONText.Style

    init(style: JSONText.Style, capacity: Int = 512) {
        self.style = style
        output = OutputBytes(capacity: capacity)
    }

    /// Text that is JSON already.
    func append(_ text: StaticString) {
        output.append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    func append(_ text: String) {
        var text = text
        text.withUTF8 { output.append(UnsafeRawBufferPointer($0)) }
    }

    func appendString(_ text: String) {
        var text = text
        text.withUTF8 { JSONText.writeString(UnsafeRawBufferPointer($0), into: output) }
    }

    /// A MessagePack value.
    func append(raw value: UnsafeRawBufferPointer) throws(Problem) {
        do throws(MessagePackError) { try JSONText.write(value, into: output, style: style) } catch { throw Self.unreadable }
    }

    /// `,"name":` and answers the name.
    func appendName(_ reader: inout MessagePackReader) throws(MessagePackError) -> UnsafeRawBufferPointer {
        let name = try reader.readStringBytes()
        append(",")
        JSONText.writeString(name, into: output)
        append(":")
        return name
    }

    /// `,"name":value`
    func appendMember(_ reader: inout MessagePackReader) throws(MessagePackError) {
        _ = try appendName(&reader)
        try JSONText.write(try reader.readRawValue(), into: output, style: style)
    }

    static var unreadable: Problem { Problem(.internal, "The node's answer cannot be read") }
}

extension Exchange {
    /// `{"status":"success",...}` with what the node said.
    func success(_ frame: LocalFrame, status: Int = 200) async throws(Problem) -> Answer {
        let text = try await work(on: frame.payload.readableBytes) { () throws(Problem) in
            let body = JSONBody(style: style, capacity: frame.payload.readableBytes * 2 + 64)
            try frame.payload.withMessagePack { (reader: inout MessagePackReader) throws(MessagePackError) in
                body.append("{\"status\":\"success\"")
                for _ in 0..<(try reader.readMapHeader()) { try body.appendMember(&reader) }
                body.append("}")
            }
            return body.output
        }
        return finish(Answer(status: status, json: text), frame)
    }

    /// The answer with the position that belongs to it.
    func finish(_ answer: Answer, _ frame: LocalFrame) -> Answer {
        var answer = answer
        if let token = frame.token { answer.fields[.nexaToken] = token.text }
        if frame.isSlowDown { answer.fields[.nexaSlowDown] = "1" }
        return answer
    }
}

extension ByteBuffer {
    /// Reads the bytes as MessagePack; what cannot be read is a defect of ours.
    func withMessagePack<Result>(
        _ body: (inout MessagePackReader) throws(MessagePackError) -> Result
    ) throws(Problem) -> Result {
        var result: Result?
        withUnsafeReadableBytes { bytes in
            var reader = MessagePackReader(bytes)
            do throws(MessagePackError) { result = try body(&reader) } catch {}
        }
        guard let result else { throw JSONBody.unreadable }
        return result
    }
}
