/// Records as they travel, put one behind the other into a caller's buffer with one copy.
extension LogTail {
    /// Records that were put into a buffer.
    package struct Shipment: Equatable, Sendable {
        package var firstLSN: LSN
        package var lastLSN: LSN
        /// Of the last record.
        package var epoch: Epoch
        /// The chain in front of the first record, and behind the last one.
        package var previousChain: UInt64
        package var chain: UInt64
        package var recordCount: Int
        package var byteCount: Int
    }

    package enum Filling: Equatable, Sendable {
        case records(Shipment)
        /// Nothing durable is left to send.
        case caughtUp
        /// The next record is not in the log any more; the log begins with `oldest`.
        case gone(oldest: LSN)
        /// Not even the next record fits: it takes this many bytes.
        case needsRoom(byteCount: Int)
    }

    /// Fills `buffer` with whole records up to `durable` in their transport layout (see `ReplicatedRecord`) and moves behind them. Each
    /// was checked against its seal and its hash. What became durable since the last call costs one read of the file for every 128 KiB.
    package func fill(_ buffer: UnsafeMutableRawBufferPointer, upTo durable: LSN) throws(StorageError) -> Filling {
        refresh()
        var shipment: Shipment?
        while nextLSN <= durable {
            let record: LogRecord
            switch try next() {
            case .gone(let oldest): return shipment.map(Filling.records) ?? .gone(oldest: oldest)
            case .record(let found): record = found
            }
            let bytes = record.portable
            let used = shipment?.byteCount ?? 0
            guard bytes.count <= buffer.count - used else {
                return shipment.map(Filling.records) ?? .needsRoom(byteCount: bytes.count)
            }
            UnsafeMutableRawBufferPointer(rebasing: buffer[used..<used + bytes.count]).copyMemory(from: bytes)
            let previousChain = chain!
            advance(over: record.header)
            var next =
                shipment
                ?? Shipment(
                    firstLSN: record.header.lsn, lastLSN: 0, epoch: 0, previousChain: previousChain, chain: 0, recordCount: 0,
                    byteCount: 0)
            next.lastLSN = record.header.lsn
            next.epoch = record.header.epoch
            next.chain = chain!
            next.recordCount += 1
            next.byteCount += bytes.count
            shipment = next
        }
        return shipment.map(Filling.records) ?? .caughtUp
    }
}
