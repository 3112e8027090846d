import NexaDocuments
import NexaStorage
import NexaWire
import Testing

struct DeleteTests {
    @Test func removesOnce() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k"], in: things)
        #expect(try test.delete("k", in: things))
        #expect(try test.read("k", in: things) == nil)
        #expect(try !test.delete("k", in: things))
        #expect(try test.create(["_id": "k", "a": 2], in: things)["a"] == 2)
    }

    @Test func conflictsUnlessTheRevisionMatches() throws {
        let test = try TestStore()
        let things = try test.collection()
        let revision = try test.createResult(["_id": "k"], in: things).lsn
        #expect(errorOf { _ = try test.delete("k", in: things) { $0.ifMatch = revision + 1 } }?.code == .conflict)
        #expect(try test.delete("k", in: things) { $0.ifMatch = revision })
        #expect(try !test.delete("k", in: things) { $0.ifMatch = revision })
    }

    @Test func answersFalseForKeysThatCannotBe() throws {
        let test = try TestStore()
        let things = try test.collection()
        #expect(try !test.delete("", in: things))
        #expect(try !test.delete(String(repeating: "k", count: 1025), in: things))
    }
}
