/// One connection's share in the node-wide count of buffered bytes, kept in coarse steps: connections that buffer less than a
/// step never touch the shared counter.

import Synchronization

struct BufferAccount {
    static let stepByteCount = 64 << 10
    private var steps = 0

    /// Whether this connection buffers enough to be paused when all buffers together are full.
    var isLarge: Bool { steps > 0 }

    /// Adjusts the shared count to what this connection buffers now.
    @inline(__always)
    mutating func update(_ byteCount: Int, in node: NodeContext) {
        let now = byteCount / Self.stepByteCount
        guard now != steps else { return }
        node.bufferedByteCount.wrappingAdd((now - steps) * Self.stepByteCount, ordering: .relaxed)
        steps = now
    }
}
