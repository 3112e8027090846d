/// The bytes of a body that is being read, as part of what the node's connections buffer together (`max-buffers`): many clients that each
/// begin a large body do not fill the memory. Given back when the body was read, or nobody wants it any more.

import NexaServer
import Synchronization

struct BodyAccount: ~Copyable {
    /// Smaller bodies are not counted: there are at most `http-max-connections` of them.
    private static let smallByteCount = 64 << 10

    private let node: NodeContext
    private var byteCount = 0

    init(_ node: NodeContext) { self.node = node }

    deinit { node.bufferedByteCount.wrappingSubtract(byteCount, ordering: .relaxed) }

    /// The body has grown to `byteCount`; false: there is no room for it.
    mutating func grow(to byteCount: Int) -> Bool {
        guard byteCount > Self.smallByteCount else { return true }
        node.bufferedByteCount.wrappingAdd(byteCount - self.byteCount, ordering: .relaxed)
        self.byteCount = byteCount
        return !node.buffersAreFull
    }
}
