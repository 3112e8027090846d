import NexaGateway
import NexaWire
import Testing

@Suite struct RequestPartTests {
    @Test func parametersAreDecodedAndTyped() throws {
        let parameters = try QueryParameters("limit=10&name=a+b%26c&all&none=")
        #expect(try parameters.count("limit") == 10)
        #expect(parameters.text("name") == "a b&c")
        #expect(try parameters.flag("all") == true)
        #expect(parameters.text("none") == "")
        #expect(try parameters.count("skip") == nil)
    }

    @Test(arguments: ["limit=1&limit=2", "a=%2", "%ff=1", String(repeating: "a&", count: 100)])
    func badQueriesAreRefused(query: String) {
        #expect(throws: Problem.self) { try QueryParameters(query) }
    }

    @Test(arguments: ["-1", "+1", "1.0", "", "x", "99999999999999999999"])
    func badNumbersAreRefused(text: String) throws {
        let parameters = try QueryParameters("limit=" + text)
        #expect(throws: Problem.self) { try parameters.count("limit") }
    }

    @Test func tagsAreComparedByRevision() {
        #expect(EntityTag.Condition("*") == .any)
        #expect(EntityTag.Condition("\"7\"") == .tags([EntityTag(revision: 7)]))
        #expect(EntityTag.Condition(" W/\"7\" , \"8\"")?.matches(8) == true)
        #expect(EntityTag.Condition(" W/\"7\" , \"8\"")?.matches(7) == true)
        #expect(EntityTag.Condition(" W/\"7\" , \"8\"")?.revisions == [8], "weak ones are no ground for a write")
        #expect(EntityTag.Condition("*")?.revisions == nil)
        #expect(EntityTag.Condition("\"other\"") == .tags([]))
        for text in ["", "7", "\"", "\"7\",", "\"7"] { #expect(EntityTag.Condition(text) == nil, "\(text)") }
    }

    @Test func cursorsAreReadBack() {
        for cursor in [PageCursor.behind(key: "a/b?ü"), .behind(key: ""), .after(count: 0), .after(count: 12345)] {
            #expect(PageCursor(cursor.text) == cursor)
            #expect(cursor.text.utf8.allSatisfy { $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "=") })
        }
        for text in ["", "!", "bg", "bi0x", String(repeating: "a", count: 3_000)] { #expect(PageCursor(text) == nil, "\(text)") }
    }

    @Test func loopbackAnswersToItsOwnNamesAlone() {
        let check = HostCheck(listensOn: "127.0.0.1", allowedHosts: ["db.local"])
        for host in ["localhost", "LocalHost:6969", "127.0.0.1:1", "[::1]:6969", "[::1]", "db.local:80"] {
            #expect(check.accepts(host))
        }
        for host in [
            "evil.example", "127.evil.example", "", "localhost.evil.example:6969", "[::2]", "localhost:80@evil.example", "[::1",
            "[::1]x",
            "localhost, evil.example", "localhost:x",
        ] {
            #expect(!check.accepts(host), "\(host)")
        }
        #expect(!check.accepts(nil))
        #expect(HostCheck(listensOn: "0.0.0.0", allowedHosts: []).accepts("anything"))
    }

    @Test func acceptedTypesAreRecognised() {
        let json = "application/json"
        for accept in [
            nil, "", "*/*", "application/*", "text/html, application/json;q=0.5", "APPLICATION/JSON", "*/*;q=0, application/*",
        ] {
            #expect(Acceptance(accept).quality(of: json) > 0, "\(accept ?? "nothing")")
        }
        for accept in [
            "text/html", "application/json;q=0", "image/*", "application/json; q=0.000, */*", "*/*, application/*;q=0", ",",
        ] {
            #expect(Acceptance(accept).quality(of: json) == 0, "\(accept)")
        }
    }

    @Test func linesAreForThoseWhoLikeThemBetter() {
        for accept in ["application/x-ndjson", "application/json;q=0.5, application/jsonl", "application/ndjson, */*"] {
            #expect(Acceptance(accept).prefersLines, "\(accept)")
        }
        for accept in [nil, "*/*", "application/json, application/x-ndjson;q=0.9", "application/x-ndjson;q=0"] {
            #expect(!Acceptance(accept).prefersLines, "\(accept ?? "nothing")")
        }
    }

    @Test func pagesOfOtherOriginsAreToldByTheirOrigin() {
        let none = CrossOrigin(allowed: nil)
        #expect(none.accepts(origin: nil, authority: "localhost:1"))
        #expect(none.accepts(origin: "http://LOCALHOST:1", authority: "localhost:1"))
        for origin in [
            "null", "", "http://localhost:2", "http://localhost:1.evil.example", "https://evil.example", "localhost:1",
        ] {
            #expect(!none.accepts(origin: origin, authority: "localhost:1"), "\(origin)")
        }
        #expect(!none.accepts(origin: "http://", authority: nil))
        #expect(CrossOrigin(allowed: "https://a.example").accepts(origin: "https://a.example", authority: "h"))
        #expect(!CrossOrigin(allowed: "https://a.example").accepts(origin: "https://b.example", authority: "h"))
        #expect(CrossOrigin(allowed: "*").accepts(origin: "null", authority: "h"))
    }

    @Test func eachCodeOfTheWireHasAStatusOfItsKind() {
        #expect(Problem.status(of: .duplicate) == 409)
        #expect(Problem.status(of: .badRequest, field: "key") == 422)
        #expect(Problem.status(of: .notLeader) == 421)
        #expect(Problem.status(of: .writeConcernTimeout) == 504)
    }
}
