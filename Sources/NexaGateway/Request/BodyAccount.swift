/// The bytes of a body that is being read, as part of what the node's connections buffer together (`max-buffers`): many clients that each
/// begin a large body do not fill the memory. Given back when the body was read, or nobody wants it any more.

import NexaServer
import NexaWire
import Synchronization

struct BodyAccount: ~Copyable {
    /// Smaller bodies and answers are not counted: there are at most `http-max-connections` of them.
    static let smallByteCount = 64 << 10

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

extension Exchange {
    /// Refuses a large answer that would wait for its client while others buffer too much already. Only for what changed nothing.
    func checkRoom(for answer: OutputBytes) throws(Problem) {
        guard answer.byteCount > BodyAccount.smallByteCount, node.buffersAreFull else { return }
        throw Problem(
            .overloaded,
            "The node buffers too much for others already (max-buffers): ask for fewer documents, for lines, or later")
    }
}
