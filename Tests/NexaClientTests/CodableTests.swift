import Foundation
import NexaClient
import NexaWire
import Testing

/// Values of Swift to MessagePack and back, without a tree in between.
struct CodableTests {
    struct Address: Codable, Equatable, Sendable {
        var street: String
        var number: Int?
    }
    enum Rank: String, Codable, Sendable { case low, high }
    struct Person: Codable, Equatable, Sendable {
        var name: String
        var age: Int
        var height: Double
        var weight: Float
        var isActive: Bool
        var nothing: String?
        var tags: [String]
        var addresses: [Address]
        var scores: [String: Int]
        var big: UInt64
        var small: Int8
        var rank: Rank
        var born: Date
        var photo: Data
        var embedding: Vector
        var id: UUID
        var extra: Document
        var anything: DocumentValue
        var link: URL
    }

    private let person = Person(
        name: "Änna 😀", age: -31, height: 1.75, weight: 61.5, isActive: true, nothing: nil, tags: ["a", "b"],
        addresses: [Address(street: "Via Roma", number: 7), Address(street: "", number: nil)], scores: ["x": 1], big: .max,
        small: -128,
        rank: .high, born: Date(timeIntervalSince1970: 1_700_000_000.25), photo: Data([0, 255, 16]), embedding: [1, -2.5, 0],
        id: UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)), extra: ["a": ["b": [1, nil]]],
        anything: [1, "x", 2.5],
        link: URL(string: "https://example.com/a?b=c")!)

    @Test func aPersonComesBackAsItWent() throws {
        let document = try Document(encoding: person)
        #expect(try document.decode(Person.self) == person)
        #expect(document["name"] == "Änna 😀")
        #expect(document["nothing"] == nil)
        #expect(document["big"] == .uint(.max))
        #expect(document["weight"] == .float(61.5))
        #expect(document["embedding"]?.binaryValue?.count == 12)
        #expect(document["born"]?.isNull == false)
        if case .ext(let type, _) = document["born"] { #expect(type == -1) } else { Issue.record("a date is a timestamp") }
    }

    /// What our encoder writes is what the shared codec reads, and in shortest forms.
    @Test func theBytesAreThoseOfTheTree() throws {
        let document = try Document(encoding: person)
        let tree = try MessagePackValue(decoding: document.messagePack)
        #expect(tree.encoded() == document.messagePack)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 65_535, 65_536, 70_000])
    func containersOfEverySizeGetTheirHeaders(count: Int) throws {
        struct Holder: Codable, Equatable {
            var list: [Int]
            var nested: [[Int]]
            var map: [String: Int]
        }
        let small = min(count, 300)
        let holder = Holder(
            list: Array(0..<count), nested: Array(repeating: [1, 2], count: small),
            map: Dictionary(uniqueKeysWithValues: (0..<small).map { ("key \($0)", $0) }))
        let document = try Document(encoding: holder)
        #expect(try document.decode(Holder.self) == holder)
        #expect(try MessagePackValue(decoding: document.messagePack).encoded() == document.messagePack)
    }

    @Test func fieldsInAnotherOrderAndUnknownFieldsAreNoTrouble() throws {
        let document: Document = ["unknown": [1, 2], "number": 3, "later": nil, "street": "s"]
        #expect(try document.decode(Address.self) == Address(street: "s", number: 3))
    }

    @Test func errorsNameTheField() throws {
        func message(_ document: Document) -> String {
            do throws(NexaError) {
                _ = try document.decode(Address.self)
                return ""
            } catch {
                #expect(error.kind == .validation)
                return error.message
            }
        }
        #expect(message(["number": 1]).contains("street"))
        #expect(message(["street": 5]).contains("street"))
        #expect(message(["street": "s", "number": 1.5]).contains("number"))
    }

    @Test func numbersLoseNothing() throws {
        struct Numbers: Codable, Equatable {
            var double: Double
            var integer: Int
        }
        #expect(try (["double": 3, "integer": 4.0] as Document).decode(Numbers.self) == Numbers(double: 3, integer: 4))
        #expect(throws: NexaError.self) {
            try (["double": .int(9_007_199_254_740_993), "integer": 1] as Document).decode(Numbers.self)
        }
        struct Byte: Codable { var value: UInt8 }
        #expect(throws: NexaError.self) { try (["value": 256] as Document).decode(Byte.self) }
        #expect(throws: NexaError.self) { try (["value": -1] as Document).decode(Byte.self) }
    }

    @Test func whatIsNoMapIsNoDocument() {
        #expect(throws: NexaError.self) { try Document(encoding: [1, 2]) }
        #expect(throws: NexaError.self) { try Document(encoding: "text") }
        #expect(throws: NexaError.self) { try Document(messagePack: [0x81, 0xA1]) }
        #expect(throws: NexaError.self) { try Document(messagePack: [0x80, 0x80]) }
        #expect(throws: NexaError.self) { try Document(messagePack: [0x90]) }
    }

    @Test func nestedContainersAreClosedInTime() throws {
        struct Manual: Codable, Equatable {
            var a = 1, b = 2, c = 3
            enum Outer: String, CodingKey { case first, inner, last }
            enum Inner: String, CodingKey { case b }
            init() {}
            init(from decoder: any Decoder) throws {
                let outer = try decoder.container(keyedBy: Outer.self)
                c = try outer.decode(Int.self, forKey: .last)
                b = try outer.nestedContainer(keyedBy: Inner.self, forKey: .inner).decode(Int.self, forKey: .b)
                a = try outer.decode(Int.self, forKey: .first)
            }
            func encode(to encoder: any Encoder) throws {
                var outer = encoder.container(keyedBy: Outer.self)
                try outer.encode(a, forKey: .first)
                var inner = outer.nestedContainer(keyedBy: Inner.self, forKey: .inner)
                try inner.encode(b, forKey: .b)
                try outer.encode(c, forKey: .last)
            }
        }
        let document = try Document(encoding: Manual())
        #expect(document == ["first": 1, "inner": ["b": 2], "last": 3])
        #expect(try document.decode(Manual.self) == Manual())
    }

    @Test func writingToAContainerThatIsCompleteIsAnError() {
        struct Interleaved: Encodable {
            enum Key: String, CodingKey { case inner, other, late }
            func encode(to encoder: any Encoder) throws {
                var outer = encoder.container(keyedBy: Key.self)
                var inner = outer.nestedContainer(keyedBy: Key.self, forKey: .inner)
                try outer.encode(1, forKey: .other)
                try inner.encode(2, forKey: .late)
            }
        }
        #expect(throws: NexaError.self) { try Document(encoding: Interleaved()) }
    }

    @Test func subscriptsChangeADocument() {
        var document: Document = ["a": 1, "b": 2]
        document["a"] = "x"
        document["c"] = [3]
        document["b"] = nil
        #expect(document == ["a": "x", "c": [3]])
        #expect(document.count == 2)
        #expect(document["b"] == nil)
        #expect(document.description == #"{"a":"x","c":[3]}"# || document.description.contains("x"))
    }

    @Test func datesKeepTheirInstant() throws {
        struct When: Codable, Equatable { var at: Date }
        for seconds in [0, 1.5, -1, -0.25, 1e10, -62_135_596_800, 253_402_300_799.999] {
            let when = When(at: Date(timeIntervalSince1970: seconds))
            let back = try Document(encoding: when).decode(When.self)
            #expect(abs(back.at.timeIntervalSince1970 - seconds) < 1e-6 * max(1, abs(seconds) / 1e9))
        }
        let text = try (["at": "2024-02-29T12:00:00.5Z"] as Document).decode(When.self)
        #expect(text.at.timeIntervalSince1970 == 1_709_208_000.5)
    }

    /// Damaged bytes give an error or absence, never a crash.
    @Test func damagedDocumentsAreSurvived() throws {
        let seed = testSeed()
        var generator = SeededGenerator(seed: seed)
        let good = try Document(encoding: person).messagePack
        for _ in 0..<5_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            guard let document = try? Document(messagePack: bytes) else { continue }
            _ = try? document.decode(Person.self)
            _ = document.entries
            _ = document["embedding"]?.vectorValue
        }
    }
}
