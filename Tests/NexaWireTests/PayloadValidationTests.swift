import CSupport
import NexaWire
import Testing

/// The gate in front of everything: bad payloads are refused with their place, good ones pass.
struct PayloadValidationTests {
    func status(_ bytes: [UInt8]) -> PayloadStatus { bytes.withUnsafeBytes { validate($0) } }

    func map(_ pairs: [(String, [UInt8])]) -> [UInt8] {
        [0x80 | UInt8(pairs.count)] + pairs.flatMap { MessagePackValue.string($0.0).encoded() + $0.1 }
    }

    @Test func acceptsRandomValues() {
        var generator = SeededGenerator(seed: testSeed())
        for _ in 0..<2000 {
            let bytes = MessagePackValue.random(3, using: &generator).encoded()
            #expect(status(bytes).isValid)
        }
    }

    @Test func namesThePlaceOfAFault() {
        let inner = map([("ok", [1]), ("name", [0xA2, 0xC3, 0x28])])
        let payload = map([("collection", [0xA1, 0x63]), ("data", map([("items", [0x93, 0x01, 0x02] + inner)]))])
        let fault = status(payload)
        #expect(fault.fault == .notUTF8)
        #expect(fault.path == "data.items.2.name")
        #expect(payload[fault.byteOffset] == 0xC3)
        #expect(fault.error?.code == .badPayload)
        #expect(fault.error?.details.first == .init("path", "data.items.2.name"))
    }

    // MARK: Rows of the table of bad inputs that concern the payload

    @Test func refusesTheReservedByteAnywhere() {
        #expect(status([0xC1]).fault == .reservedByte)
        #expect(status([0x92, 0x01, 0xC1]).fault == .reservedByte)
        #expect(status([0x81, 0xC1, 0x01]).fault == .reservedByte)
        #expect(status(map([("a", [0xC1])])).path == "a")
    }

    @Test func refusesBytesBehindTheValue() {
        let fault = status([0x80, 0x80])
        #expect(fault.fault == .trailingBytes)
        #expect(fault.byteOffset == 1)
    }

    @Test func refusesNothingAtAll() {
        #expect(status([]).fault == .truncated)
    }

    /// Five bytes that announce 2^32 - 1 elements or bytes: refused at once, nothing reserved.
    @Test(arguments: [UInt8(0xDD), 0xDF, 0xC6, 0xDB, 0xC9])
    func refusesHugeClaims(_ tag: UInt8) {
        #expect(status([tag, 0xFF, 0xFF, 0xFF, 0xFF]).fault == .truncated)
        #expect(status([tag, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x02]).fault == .truncated)
        #expect(status([0x91, tag, 0xFF, 0xFF, 0xFF, 0xFF]).fault == .truncated)
    }

    @Test(arguments: [UInt8(0xD4), 0xD5, 0xD6, 0xD7, 0xD8])
    func refusesTruncatedFixext(_ tag: UInt8) {
        let body = 1 << (tag - 0xD4)
        for count in 0...body { #expect(status([tag] + [UInt8](repeating: 5, count: count)).fault == .truncated) }
        #expect(status([tag] + [UInt8](repeating: 5, count: body + 1)).isValid)
    }

    @Test func refusesDeepNestingWithoutRecursion() {
        for (open, close) in [([0x91], [0xC0]), ([0x81, 0xA1, 0x61], [0xC0])] as [([UInt8], [UInt8])] {
            let limit = (0..<100).flatMap { _ in open } + close
            #expect(status(limit).isValid)
            let fault = status(open + limit)
            #expect(fault.fault == .tooDeep)
            #expect(fault.byteOffset == open.count * 100)
            #expect(status((0..<100_000).flatMap { _ in open } + close).fault == .tooDeep)
        }
    }

    @Test func refusesWideNestingOfArraysThatAreNotThere() {
        let bytes: [UInt8] = [0xDC, 0xFF, 0xFF, 0xDC, 0xFF, 0xFF, 0xDC, 0xFF, 0xFF]
        #expect(status(bytes).fault == .truncated)
    }

    @Test func refusesKeysThatAreNotStrings() {
        for key in [[0x01], [0xC0], [0xC3], [0xCB, 0x7F, 0xF8, 0, 0, 0, 0, 0, 0], [0x90], [0xC4, 0x01, 0x61]] as [[UInt8]] {
            #expect(status([0x81] + key + [0x01]).fault == .keyNotString)
        }
    }

    @Test(arguments: [2, 5, 31, 32, 33, 40, 1000, 50_000])
    func refusesAKeyThatStandsTwiceInMapsOfAnySize(_ count: Int) {
        let names = (0..<count).map { "key number \($0)" }
        let good = MessagePackValue.map(names.map { .init($0, 1) }).encoded()
        #expect(status(good).isValid)
        for (first, second) in [(0, count - 1), (count / 2, count - 1), (0, 1)] where first != second {
            var twice = names
            twice[second] = names[first]
            let fault = status(MessagePackValue.map(twice.map { .init($0, 1) }).encoded())
            #expect(fault.fault == .duplicateKey)
            #expect(fault.path == names[first])
        }
    }

    @Test func seesTheSameKeyInAnotherEncoding() {
        #expect(status([0x82, 0xA1, 0x61, 0x01, 0xD9, 0x01, 0x61, 0x02]).fault == .duplicateKey)
    }

    @Test func keysThatDifferInOneByteAreDifferent() {
        let names = [
            "", "a", "b", "aa", "ab", "aaaaaaaa", "aaaaaaab", "aaaaaaaaa", "baaaaaaaa", "_created_at", "_updated_at", "a\u{0}",
        ]
        #expect(status(MessagePackValue.map(names.map { .init($0, nil) }).encoded()).isValid)
        var generator = SeededGenerator(seed: testSeed())
        for _ in 0..<200 {
            let count = Int.random(in: 2...60, using: &generator)
            let keys = (0..<count).map { _ in
                String((0..<Int.random(in: 0...3, using: &generator)).map { _ in "abc".randomElement(using: &generator)! })
            }
            let isUnique = Set(keys).count == keys.count
            #expect(status(MessagePackValue.map(keys.map { .init($0, 1) }).encoded()).isValid == isUnique)
        }
    }

    @Test func theSameKeyInDifferentMapsIsFine() {
        let value: MessagePackValue = ["a": ["a": ["a": 1], "b": ["a": 2]], "b": [["a": 1], ["a": 2]]]
        #expect(status(value.encoded()).isValid)
    }

    @Test(arguments: [
        "80", "c0af", "c1bf", "e08080", "e09fbf", "eda080", "edbfbf", "f0808080", "f08fbfbf", "f4908080", "f5808080", "ff", "c3",
        "e282", "f09f8d",
        "e28241", "c341", "61c3", "6161616161616161e2", "616161616161616180",
    ])
    func refusesWhatIsNotUTF8(_ text: String) {
        let bytes = hex(text)
        #expect(status([0xD9, UInt8(bytes.count)] + bytes).fault == .notUTF8)
        #expect(status([0x81, 0xD9, UInt8(bytes.count)] + bytes + [0x01]).fault == .notUTF8)
    }

    @Test func agreesWithTheStandardLibraryOnUTF8() {
        var generator = SeededGenerator(seed: testSeed())
        let pieces: [[UInt8]] = [
            Array("plain ascii ".utf8), Array("é".utf8), Array("漢".utf8), Array("🍺".utf8), [0x80], [0xC3], [0xE2, 0x82],
            [0xF0, 0x9F], [0xED, 0xA0, 0x80],
            [0xF4, 0x8F, 0xBF, 0xBF], [0xEF, 0xBF, 0xBF],
        ]
        for _ in 0..<5000 {
            let text = (0..<Int.random(in: 1...6, using: &generator)).flatMap { _ in
                pieces[Int.random(in: 0..<(Bool.random(using: &generator) ? 4 : pieces.count), using: &generator)]
            }
            let payload = written { output in text.withUnsafeBytes { output.writeString(bytes: $0) } }
            #expect(status(payload).isValid == (String(validating: text, as: UTF8.self) != nil))
        }
    }

    @Test func refusesExtMinusOneThatIsNoTimestamp() {
        #expect(status(hex("d6ff 5a4af6a5")).isValid)
        #expect(status(hex("d7ff a1dcd7c8 5a4af6a5")).isValid)
        #expect(status(hex("c70cff 3b9ac9ff ffffffffffffffff")).isValid)
        #expect(status(hex("d7ff ee6b2800 00000000")).fault == .badTimestamp)  // 1,000,000,000 nanoseconds
        #expect(status(hex("c70cff 3b9aca00 0000000000000000")).fault == .badTimestamp)
        #expect(status(hex("d5ff 0000")).fault == .badTimestamp)
        #expect(status(hex("d50d 0000")).isValid)  // other types are the client's own
    }

    @Test func errorsQuoteNoControlCharactersAndStayShort() {
        let name = "a\u{1B}[31m\u{202E}" + String(repeating: "x", count: 5000)
        let fault = status([0x81] + MessagePackValue.string(name).encoded() + [0xC1])
        #expect(fault.path.count <= 203)
        #expect(!fault.path.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202E })
    }

    /// The verdict does not depend on what stands before or behind the payload in memory.
    @Test func readsNothingOutsideThePayload() {
        var generator = SeededGenerator(seed: testSeed())
        for _ in 0..<500 {
            let bytes = MessagePackValue.random(4, using: &generator).encoded()
            let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
            defer { exact.deallocate() }
            exact.copyBytes(from: bytes)
            #expect(payloadIsValid(UnsafeRawBufferPointer(exact)))
        }
    }
}
