/// Another way into a running node, opened when it listens and closed before it stops: the HTTP gateway, which is a module above this one.

package protocol NodeDoor: Sendable {
    /// Where it listens, for the start line; nil: nothing to tell.
    var address: String? { get }
    /// The port that a node which starts again in this process takes again.
    var port: Int { get }
    /// Takes no more requests, finishes those under way until `deadline` (in `MonotonicTime`), then cuts them.
    func close(deadline: UInt64) async
}

/// Opens the door of a node; nil: the node is told to have none.
package typealias NodeDoorOpener = @Sendable (NexaNode) async throws -> (any NodeDoor)?
