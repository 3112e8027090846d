import Foundation
import NexaWire
import Testing

/// docs/protocol.md and the code say the same: its vectors parse and are written again, its tables name every type and code.
struct ProtocolDocumentTests {
    static let text: String = {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let page = tests.deletingLastPathComponent().appendingPathComponent("docs/protocol.md")
        return try! String(contentsOf: page, encoding: .utf8)
    }()

    @Test func vectorsMeanWhatTheLineBelowSays() throws {
        let block = try #require(Self.text.components(separatedBy: "```vectors\n").last?.components(separatedBy: "```").first)
        let lines = block.split(separator: "\n").map(String.init)
        #expect(lines.count % 3 == 0 && lines.count >= 30)
        for start in stride(from: 0, to: lines.count, by: 3) {
            let bytes = hex(String(lines[start + 1].dropFirst(2)))
            let payload = try JSONParser.parse(lines[start + 2])
            try bytes.withUnsafeBytes { raw in
                guard case .frame(let frame) = FrameParser(acceptedFlags: .known).step(raw) else {
                    Issue.record("\(lines[start]): no frame")
                    return
                }
                #expect([UInt8](frame.payload) == payload, "\(lines[start])")
                let type = try #require(frame.type)
                #expect(type.isRequest == lines[start + 1].hasPrefix(">"))
                var flags = frame.header.flags
                flags.subtract([.requestID, .token])
                if type.isRequest && frame.header.flags.contains(.token) { flags.insert(.token) }
                let again = written { output in
                    let mark = output.beginFrame(type, requestID: frame.requestID, token: frame.token, flags: flags)
                    payload.withUnsafeBytes { output.writeRaw($0) }
                    output.endFrame(mark)
                }
                #expect(again == bytes, "\(lines[start])")
            }
        }
    }

    @Test func everyTypeAndErrorCodeStandsOnThePage() {
        // In words, so that line breaks and table bars do not matter.
        let words = Self.text.split { " |\n,;.".contains($0) }.map(String.init)
        let pairs = Set(zip(words, words.dropFirst()).map { "\($0) \($1)" })
        for type in MessageType.allCases {
            let byte = String(type.rawValue, radix: 16, uppercase: true)
            let entry = "`\(byte.count == 1 ? "0" : "")\(byte)` \(type.name)"
            #expect(pairs.contains(entry), "\(entry)")
        }
        let single = Set(words)
        for code in ErrorCode.allCases { #expect(single.contains("`\(code.rawValue)`"), "\(code.rawValue)") }
    }

    @Test func theLimitsAreThoseOfTheCode() {
        #expect(nestingDepthMax == 100)
        #expect(FrameParser().payloadByteCountMax == 16 << 20)
    }
}
