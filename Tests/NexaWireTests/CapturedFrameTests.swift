import NexaWire
import Testing

/// Frames of the clients that people already have: Tests/Fixtures/captured-frames.txt.
struct CapturedFrameTests {
    struct Exchange: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var isRequest: Bool
        /// The payload as JSON, for answers.
        var json: String?
        var testDescription: String { "\(name) \(isRequest ? "request" : "answer")" }
    }

    static let exchanges: [Exchange] = {
        var result: [Exchange] = []
        var name = ""
        for line in try! fixture("captured-frames.txt").split(separator: "\n") {
            if line.hasPrefix("# ") {
                name = String(line.dropFirst(2))
            } else if line.hasPrefix("> ") || line.hasPrefix("< ") {
                result.append(Exchange(name: name, bytes: hex(String(line.dropFirst(2))), isRequest: line.hasPrefix(">")))
            } else if line.hasPrefix("   0x") {
                result[result.count - 1].json = String(line.dropFirst(8))
            }
        }
        return result
    }()

    @Test func fixtureIsWhole() {
        #expect(Self.exchanges.count >= 70)
        #expect(Self.exchanges.filter { $0.json != nil }.count >= 35)
    }

    @Test(arguments: exchanges.filter { !$0.name.hasPrefix("bad ") || !$0.isRequest })
    func readsAndWritesTheSameBytes(_ exchange: Exchange) throws {
        try exchange.bytes.withUnsafeBytes { raw in
            guard case .frame(let frame) = FrameParser(acceptedFlags: .known).step(raw) else {
                Issue.record("no frame")
                return
            }
            #expect(frame.byteCount == raw.count)
            #expect(payloadIsValid(frame.payload))
            let value = try MessagePackValue(decoding: frame.payload)
            let again = written { output in
                let mark = output.beginFrame(MessageType(rawValue: frame.header.type) ?? .ping)
                value.encode(into: output)
                output.endFrame(mark)
            }
            if frame.type != nil { #expect(again == exchange.bytes) }
            if let json = exchange.json {
                #expect(try MessagePackValue(decoding: JSONParser.parse(json)) == value)
                #expect(
                    try MessagePackValue(
                        decoding: JSONParser.parse(String(decoding: JSONText.write(frame.payload), as: UTF8.self))) == value)
            }
        }
    }

    @Test func refusesTheBadOnes() throws {
        for exchange in Self.exchanges where exchange.name.hasPrefix("bad ") && exchange.isRequest {
            exchange.bytes.withUnsafeBytes { raw in
                guard case .failed(let error) = FrameParser().step(raw) else {
                    Issue.record("\(exchange.name) accepted")
                    return
                }
                #expect(error.code == .badFrame)
            }
        }
    }

    @Test func findsTheFieldsOfEveryRequest() throws {
        let fields = RequestFields()
        for exchange in Self.exchanges where exchange.isRequest && !exchange.name.hasPrefix("bad ") {
            try exchange.bytes.withUnsafeBytes { raw in
                guard case .frame(let frame) = FrameParser().step(raw), let type = frame.type else { return }
                try fields.parse(frame.payload, type: type, acceptsCompact: false)
                let map = try MessagePackValue(decoding: frame.payload)
                #expect(fields.has(.collection) == (map["collection"] != nil))
                if case .string(let name)? = map["collection"] {
                    #expect(try String(decoding: #require(try fields.string(.collection)), as: UTF8.self) == name)
                }
                #expect(fields.has(.key) == (map["key"] != nil))
                #expect(fields.has(.updates) == (map["updates"] != nil))
            }
        }
    }
}
