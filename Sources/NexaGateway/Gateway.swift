/// The HTTP/JSON door of a node: the same engine calls as the NEXA port, in the same process.

import Hummingbird
import Logging
import NexaServer

package struct Gateway {
    let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    /// What answers a request by its path.
    package func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("/health/live") { _, _ in HTTPResponse.Status.ok }
        return router
    }
}
