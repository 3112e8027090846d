import NexaDocuments
import NexaServer
import NexaTestKit
import Testing

@Suite struct PasswordHashTests {
    private let cheap = PasswordHash.Cost(memoryKiB: 64, passes: 1, lanes: 1)
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// The vector of the Argon2 authors: printf password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 -e
    @Test func takesTheHashOfTheReferenceImplementation() throws {
        let text =
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        let hash = try #require(PasswordHash(parsing: text))
        #expect(hash.matches(bytes("password")))
        #expect(!hash.matches(bytes("passwore")))
        #expect(hash.text == text)
    }

    @Test func aHashIsReadBackAndMatchesItsPasswordAlone() throws {
        let hash = PasswordHash(of: bytes("correct horse"), cost: cheap)
        let again = try #require(PasswordHash(parsing: hash.text))
        #expect(again == hash)
        #expect(again.matches(bytes("correct horse")))
        #expect(!again.matches(bytes("correct horsf")))
        #expect(!again.matches([]))
        #expect(PasswordHash(of: bytes("correct horse"), cost: cheap) != hash, "salts differ")
    }

    @Test func theStandardCostIsWhatIsRecommendedAtLeast() {
        #expect(PasswordHash.Cost.standard.memoryKiB >= 19 << 10)
        #expect(PasswordHash.Cost.standard.passes >= 2)
    }

    @Test(arguments: [
        "", "$", "$$$$$", "argon2id", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=4294967295,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=255$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=99999999999999999999,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=-64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=+64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=1$c2$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ=$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXP", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=64,t=1,p=1$c29t ZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc$",
        "$argon2id$v=19$m=\u{0661},t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ])
    func hostileTextsAreNoHashes(_ text: String) {
        #expect(PasswordHash(parsing: text) == nil)
    }

    @Test func randomDamageNeverCrashesNorCostsMoreThanTheBound() {
        var generator = SeededGenerator(seed: 41)
        let whole = Array(PasswordHash(of: bytes("x"), cost: cheap).text.utf8)
        for _ in 0..<20_000 {
            var text = whole
            for _ in 0...Int.random(in: 0...3, using: &generator) {
                text[Int.random(in: 0..<text.count, using: &generator)] = UInt8.random(in: 0...127, using: &generator)
            }
            guard let hash = PasswordHash(parsing: String(decoding: text, as: UTF8.self)) else { continue }
            #expect(hash.cost.memoryKiB <= 256 << 10 && hash.cost.passes <= 16 && hash.cost.lanes <= 4)
        }
    }

    @Test func apiKeysLookAsClientsExpectAndHashAlike() throws {
        let key = APIKey()
        #expect(key.text.hasPrefix("nxdb_") && key.text.count == 48)
        #expect(key.text.dropFirst(5).allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        #expect(try #require(APIKey(parsing: key.text)).hash == key.hash)
        #expect(APIKey().hash != key.hash)
        #expect(key.stored.prefix == key.text.prefix(15) + "...")
        for text in ["", "nxdb_", String(key.text.dropLast()), key.text + "A", "nxda_" + key.text.dropFirst(5)] {
            #expect(APIKey(parsing: text) == nil)
        }
    }
}
