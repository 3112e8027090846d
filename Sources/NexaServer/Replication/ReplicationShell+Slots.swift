// Slots over a restart: read once at start, written when they have changed. A change of what slots there are is written at the next look,
// how far the followers came and how long they are away only now and then: the file may lag, it never claims too much.

import Logging
import NIOCore
import NexaReplication
import NexaStorage

/// What was written last.
struct SlotKeeping {
    /// How far followers came.
    static let positionInterval: Microseconds = 5_000_000
    /// For how long they are away.
    static let awayInterval: Microseconds = 60_000_000

    var slots: [KeptSlot]
    var changeCount: UInt64 = 0
    var writtenAt: Microseconds

    /// Whether `now` has to be written.
    func isDue(_ current: [KeptSlot], changeCount: UInt64, at now: Microseconds) -> Bool {
        if changeCount != self.changeCount { return true }
        let elapsed = now - min(now, writtenAt)
        guard elapsed >= Self.positionInterval else { return false }
        let places = current.map { [$0.restartLSN, $0.node?.rawValue ?? 0] }
        if places != slots.map({ [$0.restartLSN, $0.node?.rawValue ?? 0] }) { return true }
        return elapsed >= Self.awayInterval && current.map(\.away) != slots.map(\.away)
    }
}

extension ReplicationShell {
    func keepSlots() {
        let now = Self.now()
        let current = node.keptSlots(now: now)
        guard slotKeeping.isDue(current, changeCount: node.slotChangeCount, at: now) else { return }
        writeSlots(current, at: now)
    }

    /// What was asked for is on disk when the answer leaves.
    func answerSlots(_ reply: SlotAdminReply) {
        let connections = waitingForSlots
        waitingForSlots.removeAll()
        guard node.slotChangeCount != slotKeeping.changeCount else { return Self.answer(connections, reply) }
        keepSlots()
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(connections, eventLoop: eventLoop))
        worker.submit(.call { eventLoop.execute { Self.answer(bound.value, reply) } })
    }

    private static func answer(_ connections: [ReplicationConnection], _ reply: SlotAdminReply) {
        for connection in connections {
            connection.isChangingSlots = false
            connection.send(.slotAdminReply(reply))
        }
    }

    /// Before the node stops: what is known now.
    func keepSlotsFinally() {
        let now = Self.now()
        let current = node.keptSlots(now: now)
        if current != slotKeeping.slots { writeSlots(current, at: now) }
    }

    private func writeSlots(_ slots: [KeptSlot], at now: Microseconds) {
        slotKeeping = SlotKeeping(slots: slots, changeCount: node.slotChangeCount, writtenAt: now)
        let (directory, fileSystem, logger) = (directory, fileSystem, logger)
        worker.submit(
            .call {
                do {
                    try SlotFile.store(slots, directory: directory, fileSystem: fileSystem)
                } catch {
                    logger.warning("the slots cannot be written", metadata: ["error": "\(error)"])
                }
            })
    }
}
