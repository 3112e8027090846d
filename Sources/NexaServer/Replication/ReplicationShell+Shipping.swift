// From the log to a follower: one order, one batch. The log is read behind its writer; what a follower was sent and has not taken is
// bounded by its window, so nothing is kept here for it.

import Logging
import NIOCore
import NexaReplication
import NexaStorage

extension ReplicationShell {
    func ship(_ session: SessionID, _ order: ShipOrder) {
        guard let connection = connections[session] else { return }
        if tails[session]?.nextLSN != order.first { tails[session] = engine.tail(from: order.first) }
        do throws(StorageError) {
            try send(order, tails[session]!, connection)
        } catch {
            logger.error(
                "the log cannot be read for a follower", metadata: ["peer": "\(connection.peerName ?? "")", "error": "\(error)"])
            tails[session] = nil
            handle(.shipped(session, last: order.first - 1, byteCount: 0))
            connectionBroke(connection)
        }
    }

    private func send(_ order: ShipOrder, _ tail: LogTail, _ connection: ReplicationConnection) throws(StorageError) {
        let session = connection.session
        let limit = min(order.limit, lastOfEpoch(at: order.first), engine.durableLSN)
        let filling = try fill(tail, upTo: limit, byteCountMax: order.byteCountMax)
        switch filling {
        case .records(let shipment):
            let header = BatchHeader(
                stamp: order.stamp, recordEpoch: shipment.epoch, first: shipment.firstLSN, last: shipment.lastLSN,
                previousChain: shipment.previousChain)
            let sent = connection.sendBatch(
                header, records: UnsafeRawBufferPointer(rebasing: shipBuffer[..<shipment.byteCount]))
            counters.shipped(shipment.byteCount, wire: sent)
            handle(.shipped(session, last: shipment.lastLSN, byteCount: UInt64(shipment.byteCount)))
        case .caughtUp, .needsRoom: handle(.shipped(session, last: order.first - 1, byteCount: 0))
        case .gone(let oldest):
            tails[session] = nil
            handle(.shipGone(session, oldest: oldest))
        }
    }

    /// As many records as fit into `byteCountMax`; one that is larger goes alone.
    private func fill(_ tail: LogTail, upTo limit: LSN, byteCountMax: Int) throws(StorageError) -> LogTail.Filling {
        reserveShipBuffer(byteCountMax)
        let filling = try tail.fill(UnsafeMutableRawBufferPointer(rebasing: shipBuffer[..<byteCountMax]), upTo: limit)
        guard case .needsRoom(let byteCount) = filling else { return filling }
        reserveShipBuffer(byteCount)
        return try tail.fill(UnsafeMutableRawBufferPointer(rebasing: shipBuffer[..<byteCount]), upTo: limit)
    }

    /// Records of two epochs never share a batch.
    private func lastOfEpoch(at lsn: LSN) -> LSN {
        for start in node.log.history.entries where start.firstLSN > lsn { return start.firstLSN - 1 }
        return .max
    }

    private func connectionBroke(_ connection: ReplicationConnection) {
        connection.close(.stop(ReplicationStop(.slotLost, "the log cannot be read")))
    }
}
