import NexaReplication
import NexaStorage
import Testing

@Suite struct ContentComparisonTests {
    private func hash(_ entryCount: UInt64, _ sum: UInt64) -> ContentHash {
        var hash = ContentHash()
        (hash.entryCount, hash.sum, hash.exclusiveOr) = (entryCount, sum, sum)
        return hash
    }

    private func report(
        _ node: String, epoch: Epoch = 1, chain: UInt64? = 7, _ collections: [(id: UInt64, name: String, hash: ContentHash)]
    ) -> ContentComparison.Report {
        var report = ContentComparison.Report(node: node)
        report.epoch = epoch
        report.chain = chain
        report.add(collections.map { VerifyReply.Collection(id: $0.id, database: "d", name: $0.name, hash: $0.hash) })
        return report
    }

    @Test func equalHashesAreEqual() {
        let parts = [(id: UInt64(1), name: "a", hash: hash(3, 5)), (id: 2, name: "b", hash: hash(4, 6))]
        #expect(ContentComparison([report("x", parts), report("y", chain: nil, parts), report("z", parts.reversed())]).isEqual)
    }

    @Test func aDifferenceNamesItsCollection() {
        let full = [(id: UInt64(1), name: "a", hash: hash(3, 5)), (id: 2, name: "b", hash: hash(4, 6))]
        let cases: [(String, [(id: UInt64, name: String, hash: ContentHash)], [String])] = [
            ("another sum", [(1, "a", hash(3, 9)), full[1]], ["d.a"]),
            ("another count", [full[0], (2, "b", hash(5, 6))], ["d.b"]),
            ("missing", [full[0]], ["d.b"]), ("one more", full + [(id: 3, name: "c", hash: hash(1, 1))], ["d.c"]),
            ("another id", [full[0], (3, "b", hash(4, 6))], ["d.b", "d.b"]),
        ]
        for (what, parts, names) in cases {
            let comparison = ContentComparison([report("x", full), report("y", full), report("z", parts)])
            #expect(comparison.differences.map(\.identity.text) == names, "\(what)")
            #expect(!comparison.isEqual, "\(what)")
        }
    }

    @Test func anotherLogIsADifferenceToo() {
        let parts = [(id: UInt64(1), name: "a", hash: hash(3, 5))]
        #expect(ContentComparison([report("x", parts), report("y", chain: 8, parts)]).otherLogs == ["y"])
        #expect(ContentComparison([report("x", parts), report("y", epoch: 2, parts)]).otherLogs == ["y"])
    }
}
