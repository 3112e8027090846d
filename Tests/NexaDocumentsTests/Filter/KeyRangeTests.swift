import NexaDocuments
import NexaWire
import Testing

/// What a filter says about `_id` bounds the scan; what only may hold must not.
struct KeyRangeTests {
    func bytes(_ text: String?) -> [UInt8]? { text.map { Array($0.utf8) } }

    @Test(
        arguments: [
            ("{\"_id\": \"b\"}", "b", "b\u{0}", ["b"]), ("{\"_id\": {\"$eq\": \"b\"}}", "b", "b\u{0}", ["b"]),
            ("{\"_id\": {\"$in\": [\"c\", \"a\", \"c\"]}}", "a", "c\u{0}", ["a", "c"]),
            ("{\"_id\": {\"$gte\": \"b\"}}", "b", nil, nil),
            ("{\"_id\": {\"$gt\": \"b\"}}", "b\u{0}", nil, nil), ("{\"_id\": {\"$lt\": \"b\"}}", nil, "b", nil),
            ("{\"_id\": {\"$lte\": \"b\"}}", nil, "b\u{0}", nil),
            ("{\"_id\": {\"$gte\": \"a\", \"$lt\": \"m\"}, \"x\": 1}", "a", "m", nil),
            ("{\"$and\": [{\"_id\": {\"$gt\": \"a\"}}, {\"_id\": {\"$gt\": \"b\"}}]}", "b\u{0}", nil, nil),
            ("{\"_id\": {\"$in\": [\"a\", \"b\", \"c\"], \"$gt\": \"a\"}}", "b", "c\u{0}", ["b", "c"]),
        ] as [(String, String?, String?, [String]?)])
    func boundsWhatEveryMatchMustSatisfy(_ filter: String, _ lower: String?, _ upper: String?, _ keys: [String]?) throws {
        let range = try compileFilter(filter).keyRange
        #expect(range.lower == bytes(lower))
        #expect(range.upper == bytes(upper))
        #expect(range.exactKeys == keys?.map { Array($0.utf8) })
        #expect(!range.isEmpty)
    }

    @Test(arguments: [
        "{}", "{\"x\": 1}", "{\"_id\": 5}", "{\"_id\": null}", "{\"_id\": {\"$ne\": \"a\"}}", "{\"_id\": {\"$nin\": [\"a\"]}}",
        "{\"_id\": {\"$exists\": true}}",
        "{\"_id\": {\"$not\": {\"$gt\": \"a\"}}}", "{\"$or\": [{\"_id\": \"a\"}, {\"x\": 1}]}", "{\"$nor\": [{\"_id\": \"a\"}]}",
        "{\"_id\": {\"$in\": [\"a\", 5]}}",
        "{\"_id.x\": \"a\"}", "{\"x._id\": \"a\"}",
    ])
    func leavesTheRestUnbounded(_ filter: String) throws {
        #expect(try compileFilter(filter).keyRange.isUnbounded)
    }

    @Test(arguments: [
        "{\"_id\": {\"$gt\": \"b\", \"$lt\": \"a\"}}", "{\"$and\": [{\"_id\": \"a\"}, {\"_id\": \"b\"}]}",
        "{\"_id\": {\"$in\": []}}", "{\"_id\": {\"$gte\": \"a\", \"$lt\": \"a\"}}",
        "{\"_id\": {\"$eq\": \"a\", \"$gt\": \"a\"}}",
    ])
    func seesThatNothingCanMatch(_ filter: String) throws {
        #expect(try compileFilter(filter).keyRange.isEmpty)
    }
}
