import HTTPTypes
import NIOCore
import NIOHTTP1
import NexaGateway
import Testing

@Suite struct RequestHeadTests {
    private func read(
        _ target: String, _ fields: [(String, String)] = [("Host", "localhost")], version: HTTPVersion = .http1_1
    ) throws -> RequestHead {
        try RequestHead(HTTPRequestHead(version: version, method: .GET, uri: target, headers: HTTPHeaders(fields)))
    }

    @Test(arguments: [
        ("/a?b=c", "localhost", "/a?b=c"), ("http://h:1/a/b?c", "h:1", "/a/b?c"), ("HTTPS://h", "h", "/"),
        ("http://h?a=b", "h", "/?a=b"),
        ("http://h#x", "h", "/#x"), ("*", "localhost", "*"), ("/a?u=http://h/b", "localhost", "/a?u=http://h/b"),
    ])
    func aTargetThatNamesAHostOverrulesTheField(_ target: String, _ authority: String, _ path: String) throws {
        let head = try read(target)
        #expect(head.request.authority == authority)
        #expect(head.request.path == path)
    }

    @Test func oneHostIsNeeded() throws {
        #expect(throws: HTTPParserError.invalidHeaderToken) { try read("/", []) }
        #expect(throws: HTTPParserError.invalidHeaderToken) { try read("/", [("Host", "a"), ("Accept", "*/*"), ("hOST", "a")]) }
        #expect(throws: HTTPParserError.invalidVersion) { try read("/", version: .init(major: 2, minor: 0)) }
        #expect(try read("/", [], version: .http1_0).request.authority == nil)
        #expect(try read("/").request.headerFields.isEmpty)
    }

    @Test(arguments: [
        ("keep-alive", false, true), ("close", false, false), ("TE, Close", false, false), ("", false, true),
        ("keep-alive", true, true),
        ("", true, false),
    ])
    func connectionsGoOnAsTheirVersionHasIt(_ field: String, _ isOld: Bool, _ keepsAlive: Bool) throws {
        let fields = [("Host", "h")] + (field.isEmpty ? [] : [("Connection", field)])
        let head = try read("/", fields, version: isOld ? .http1_0 : .http1_1)
        #expect(head.keepsAlive == keepsAlive && head.isOld == isOld)
    }
}

@Suite struct ConnectionLifeTests {
    private func head(keepsAlive: Bool = true, isOld: Bool = false) throws -> RequestHead {
        var head = try RequestHead(
            HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: HTTPHeaders([("Host", "h")])))
        (head.keepsAlive, head.isOld) = (keepsAlive, isOld)
        return head
    }

    @Test func requestsInARowAreAnsweredInARow() throws {
        var life = ConnectionLife()
        for _ in 0..<2 {
            #expect(life.head(try head()) == .forward)
            #expect(life.body(1 << 30) == .forward)
            #expect(life.end() == .forward)
        }
        for _ in 0..<2 {
            #expect(life.answerHead(closes: false, isFramed: true) == (false, false))
            #expect(life.answerEnd() == .goOn)
        }
    }

    @Test func nothingIsTakenBehindTheLastAnswer() throws {
        var life = ConnectionLife()
        _ = life.head(try head(keepsAlive: false))
        _ = life.end()
        // Not even while that answer is on its way: nothing would be done with it, or done and not told.
        #expect(life.head(try head()) == .drop)
        #expect(life.body(1) == .drop && life.end() == .drop)
        #expect(life.answerHead(closes: false, isFramed: true).closes)
        #expect(life.answerEnd() == .close)
        #expect(life.head(try head()) == .drop)
    }

    @Test func aBodyThatNobodyReadsIsDroppedUpToALimit() throws {
        var life = ConnectionLife()
        for _ in 0..<2 {
            _ = life.head(try head())
            #expect(life.body(1 << 20) == .forward, "somebody may read it yet")
            _ = life.answerHead(closes: false, isFramed: true)
            #expect(life.answerEnd() == .drain)
            #expect(life.body(ConnectionLife.droppedByteCountMax) == .drop)
            #expect(life.end() == .forward, "the next request may come")
        }
        _ = life.head(try head())
        _ = life.answerHead(closes: false, isFramed: true)
        #expect(life.answerEnd() == .drain)
        #expect(life.body(ConnectionLife.droppedByteCountMax + 1) == .cut)
    }

    @Test func whatHTTPOfOldCannotFrameEndsWithItsConnection() throws {
        for (isFramed, closes) in [(true, false), (false, true)] {
            var life = ConnectionLife()
            _ = life.head(try head(isOld: true))
            _ = life.end()
            #expect(life.answerHead(closes: false, isFramed: isFramed) == (closes, true))
            #expect(life.answerEnd() == (closes ? .close : .goOn))
        }
    }

    @Test func whatIsNoHTTPIsAnsweredLast() throws {
        var life = ConnectionLife()
        _ = life.head(try head())
        _ = life.end()
        life.fail()
        #expect(life.head(try head()) == .drop)
        #expect(life.answerHead(closes: false, isFramed: true).closes)
        #expect(life.answerEnd() == .close)
    }
}
