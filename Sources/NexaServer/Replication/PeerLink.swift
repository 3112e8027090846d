// The way to another member for messages that belong to no stream: FENCE, FENCED, PROMOTED, SWITCHOVER. Best effort: dialled when there
// is something to say, closed when there has been nothing for a while, forgotten when it fails. Answers come on the peer's own link: nothing
// ever comes back on this one, so nobody would notice that it leads nowhere any more. Therefore no connection is used for long: what is
// said after `lifeLimit` is said on a new one. A candidate asks more often than that, and a member is told of a leader until it follows.

import NIOCore
import NexaReplication

final class PeerLink {
    private static let idleLimit: Microseconds = 10_000_000
    /// More than a connection and its greeting take, less than a candidate's patience.
    private static let lifeLimit: Microseconds = 3_000_000

    private unowned let shell: ReplicationShell
    private let address: String
    private var connection: ReplicationConnection?
    private var dialledAt: Microseconds = 0
    private var lastUse: Microseconds = 0

    init(_ address: String, shell: ReplicationShell) {
        self.address = address
        self.shell = shell
    }

    func send(_ message: ReplicationMessage) {
        lastUse = ReplicationShell.now()
        if connection != nil, lastUse - min(lastUse, dialledAt) > Self.lifeLimit { close() }
        if connection == nil || connection!.isClosed {
            let fresh = ReplicationConnection(.peer, session: shell.nextSession(), shell: shell)
            connection = fresh
            dialledAt = lastUse
            shell.dial(fresh, address)
        }
        connection!.send(message)
    }

    func tick(now: Microseconds) {
        guard connection != nil, now - min(now, lastUse) > Self.idleLimit else { return }
        close()
    }

    func close() {
        connection?.close(.quiet)
        connection = nil
    }

    /// Dialling failed: the next message tries again.
    func forget(_ ended: ReplicationConnection) {
        if connection === ended { connection = nil }
    }
}

extension ReplicationShell {
    func sendPeer(_ peer: NodeID, _ message: ReplicationMessage) {
        guard let member = node.setup.configuration.member(peer), peer != node.setup.id else { return }
        if peers[peer] == nil { peers[peer] = PeerLink(member.address, shell: self) }
        peers[peer]!.send(message)
    }
}
