// What administrators ask for and hear: each request ends with an answer, whatever becomes of the node. Who asks for what is under way already
// waits with the first for its end.

import Logging
import NexaReplication
import NexaStorage
import NexaWire

extension ReplicationShell {
    func promotionAnswer(epoch: Epoch) -> MessagePackValue {
        .map([
            .init("role", .string(node.role.rawValue)), .init("epoch", .uint(epoch)), .init("lsn", .uint(node.log.end)),
            .init("name", .string(node.setup.name)), .init("address", .string(node.setup.address)),
        ])
    }

    func promote(_ force: PromotionForce, for connection: ReplicationConnection) {
        guard !waitingForPromotion.contains(where: { $0 === connection }) else {
            return connection.refuse(WireError(.conflict, "This connection has asked for that already"))
        }
        waitingForPromotion.append(connection)
        // Elected, but not open yet: that ends like any other promotion.
        if waitingForPromotion.count == 1, node.role != .leader { handle(.promote(force)) }
    }

    func beginSwitchover(_ order: Switchover, for connection: ReplicationConnection) {
        guard waitingForSwitchover.isEmpty else {
            let progress = SwitchoverProgress(state: .aborted, lsn: node.log.end, reason: "a switchover is under way")
            return connection.send(.switchoverProgress(progress))
        }
        waitingForSwitchover.append(connection)
        handle(.switchover(target: order.target, timeout: order.timeout))
    }

    func administer(_ request: SlotAdmin, for connection: ReplicationConnection) {
        guard !connection.isChangingSlots else {
            return connection.send(.slotAdminReply(SlotAdminReply(isDone: false, slots: node.status().slots)))
        }
        connection.isChangingSlots = true
        waitingForSlots.append(connection)
        handle(.slotAdmin(request))
    }

    func promoted() {
        counters.promoted(succeeded: true)
    }

    /// Writes are taken from here on: whoever asked for the promotion may send them.
    func opened(_ epoch: Epoch) {
        for connection in waitingForPromotion { connection.answer(.success, promotionAnswer(epoch: epoch)) }
        waitingForPromotion.removeAll()
    }

    func promotionFailed(_ failure: PromotionFailure) {
        counters.promoted(succeeded: false)
        let reason = text(failure)
        logger.warning("promotion failed", metadata: ["reason": "\(reason)"])
        refusePromotions(reason)
    }

    func refusePromotions(_ reason: String) {
        for connection in waitingForPromotion { connection.refuse(WireError(.conflict, "The node was not promoted: \(reason)")) }
        waitingForPromotion.removeAll()
    }

    func switchoverProgress(_ progress: SwitchoverProgress) {
        logger.notice("switchover", metadata: ["state": "\(progress.state.rawValue)", "reason": "\(progress.reason)"])
        for connection in waitingForSwitchover { connection.send(.switchoverProgress(progress)) }
        if progress.state == .done || progress.state == .aborted { waitingForSwitchover.removeAll() }
    }

    private func text(_ failure: PromotionFailure) -> String {
        switch failure {
        case .busy: "it is busy with another change of its role or log; try again"
        case .notMember: "it is none of the members"
        case .newcomer: "it came with an empty disk and has not caught up with a leader yet"
        case .outvoted(let promised): "a peer has promised epoch \(promised) to another node"
        case .founderStays(let peer):
            "\(name(of: peer)) founded the cluster, and too few others have caught up with it: promote that one"
        case .behind(let peer, let last):
            "\(name(of: peer)) has more of the log (\(last.epoch):\(last.lsn)): promote that one"
        case .leaderAlive(let peer, let epoch): "\(name(of: peer)) leads epoch \(epoch)"
        case .noQuorum(let promises, let needed): "\(promises) of \(needed) needed members answered"
        case .refusedByStore(let reason): reason
        case .logFailed: "its log has failed, or it is stopping"
        }
    }
}
