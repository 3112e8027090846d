// Reads that wait for the core's word, by the number that the core knows them under. Confined to the replication loop.

import NexaReplication
import NexaStorage

struct WaiterTable {
    private var reads: [WaiterID: @Sendable (LSN?) -> Void] = [:]
    private var count: UInt64 = 0

    mutating func add(read body: @escaping @Sendable (LSN?) -> Void) -> WaiterID {
        count += 1
        reads[WaiterID(count)] = body
        return WaiterID(count)
    }

    mutating func complete(_ id: WaiterID, _ outcome: ReadIndexOutcome) {
        guard let body = reads.removeValue(forKey: id) else { return }
        switch outcome {
        case .read(let lsn): body(lsn)
        case .failed: body(nil)
        }
    }

    mutating func failAll() {
        for body in reads.values { body(nil) }
        reads.removeAll()
    }
}
