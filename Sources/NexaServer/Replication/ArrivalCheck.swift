// What a follower checks of a batch before its core hears of it: each record's form and hash, dense LSNs, one epoch, and the chain that
// they make. Pure; the engine checks again what it appends.

import NexaReplication
import NexaStorage

enum ArrivalCheck {
    struct Fault: Error {
        let reason: String
    }

    static func check(_ header: BatchHeader, _ records: UnsafeRawBufferPointer) -> Result<BatchArrival, Fault> {
        var cursor = ReplicatedRecordCursor(records)
        var next = header.first
        var chain = header.previousChain
        var beginsEpoch = false
        do {
            while let record = try cursor.next() {
                guard record.header.lsn == next else {
                    return .failure(Fault(reason: "LSN \(record.header.lsn) where \(next) comes next"))
                }
                guard record.header.epoch == header.recordEpoch else {
                    return .failure(Fault(reason: "LSN \(next) is of epoch \(record.header.epoch), not \(header.recordEpoch)"))
                }
                if record.header.type == .epochStart {
                    guard next == header.first else {
                        return .failure(Fault(reason: "an epoch begins in the middle of a batch, at LSN \(next)"))
                    }
                    beginsEpoch = true
                }
                chain = LogChain.advanced(chain, by: record.header.recordHash)
                next += 1
            }
        } catch {
            return .failure(Fault(reason: "\(error)"))
        }
        guard next == header.last + 1 else {
            return .failure(Fault(reason: "the batch ends with LSN \(next - 1), not \(header.last)"))
        }
        return .success(
            BatchArrival(header: header, lastChain: chain, byteCount: UInt64(records.count), beginsEpoch: beginsEpoch))
    }
}
