import NexaBlockingClient
import NexaWire
import Testing

/// The connection of the tools: what it does with answers that make no sense.
@Suite struct ClientConnectionTests {
    static let misfits: [(MessageType, MessagePackValue)] = [
        (.success, "no list"), (.pong, [:]), (.streamStart, ["stream": 1]), (.streamChunk, ["documents": []]),
    ]

    /// A prompt goes on after a failure, so a connection that lost the order of answers must say so instead of ending the process.
    @Test(arguments: misfits)
    func anAnswerThatIsNoneBreaksTheConnectionAndNothingElse(type: MessageType, payload: MessagePackValue) throws {
        let node = StandInNode(.answersQuery(type, payload))
        defer { node.stop() }
        var options = ClientConnection.Options()
        options.timeout = .milliseconds(300)
        let connection = try ClientConnection.open(Endpoint(port: node.port), options)
        #expect(throws: ClientError.self) { _ = try connection.query(["collection": "c"]) { _ in } }
        #expect(connection.isBroken)
        #expect(throws: ClientError.self) { _ = try connection.request(.ping) }
    }

    @Test func aRequestThatIsNoQueryTakesNoStream() throws {
        let node = StandInNode(.answersQuery(.streamStart, ["stream": 1]))
        defer { node.stop() }
        let connection = try ClientConnection.open(Endpoint(port: node.port))
        #expect(throws: ClientError.self) { _ = try connection.request(.query, ["collection": "c"]) }
        #expect(connection.isBroken)
    }

    @Test func anAnswerThatIsNoMessagePackIsToldInWords() throws {
        let node = StandInNode(.answersRubbish)
        defer { node.stop() }
        let connection = try ClientConnection.open(Endpoint(port: node.port))
        let error = try #require(throws: ClientError.self) { _ = try connection.request(.ping) }
        #expect(error.description.contains("byte c1") && !error.description.contains("MessagePackError"), "\(error.description)")
        #expect(connection.isBroken)
    }

    @Test func aRefusalLeavesTheConnectionAsItWas() throws {
        let node = StandInNode(.refusesAll)
        defer { node.stop() }
        let connection = try ClientConnection.open(Endpoint(port: node.port))
        for _ in 0..<2 {
            #expect(throws: ClientError.self) { _ = try connection.query(["collection": "c"]) { _ in } }
            #expect(!connection.isBroken)
        }
    }
}
