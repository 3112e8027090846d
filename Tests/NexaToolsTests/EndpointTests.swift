import NexaBlockingClient
import Testing

@Suite struct EndpointTests {
    @Test(arguments: [
        ("", "127.0.0.1", UInt16(6970)), ("db.local", "db.local", 6970), ("db.local:7000", "db.local", 7000),
        (":7001", "127.0.0.1", 7001), ("[::1]:7002", "::1", 7002), ("::1", "::1", 6970),
    ])
    func readsWhatPeopleType(text: String, host: String, port: UInt16) {
        #expect(Endpoint(parsing: text) == Endpoint(host: host, port: port))
    }

    @Test(arguments: ["host:0", "host:65536", "host:abc", "[::1", "[::1]x"])
    func refusesWhatIsNoAddress(text: String) {
        #expect(Endpoint(parsing: text) == nil)
    }
}
