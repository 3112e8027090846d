import Hummingbird
import Logging
import NexaGateway
import Testing

@Suite struct GatewayTests {
    @Test func routesAreBuilt() {
        _ = Gateway(logger: Logger(label: "test")).router().buildResponder()
    }
}
