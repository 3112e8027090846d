import NexaStorage

extension LogTail {
    /// Everything up to `durable` as it travels, in one piece; nil when the next record is gone.
    package func shipment(upTo durable: LSN, byteCountMax: Int = 1 << 20) throws(StorageError) -> (bytes: [UInt8], Shipment)? {
        var capacity = byteCountMax
        while true {
            var bytes = [UInt8](repeating: 0, count: capacity)
            let filling = try bytes.withUnsafeMutableBytes { buffer in
                Result { () throws(StorageError) in try fill(buffer, upTo: durable) }
            }.get()
            switch filling {
            case .records(let shipment):
                bytes.removeLast(bytes.count - shipment.byteCount)
                return (bytes, shipment)
            case .needsRoom(let byteCount): capacity = byteCount
            case .caughtUp, .gone: return nil
            }
        }
    }
}

extension Engine {
    /// Appends what is durable at `leader` and not here, as a connection would, and returns when it is on disk here. Answers how many
    /// records came.
    @discardableResult
    package func catchUp(with leader: Engine, byteCountMax: Int = 64 << 10) throws -> Int {
        let tail = leader.tail(from: reservedLSN + 1)
        var count = 0
        while let (bytes, shipment) = try tail.shipment(upTo: leader.durableLSN, byteCountMax: byteCountMax) {
            try withBytes(bytes) { bytes throws(ReplicationFault) in
                _ = try appendReplicated(bytes, previousChain: shipment.previousChain)
            }
            flushLogInline()
            count += shipment.recordCount
        }
        try waitDurable(reservedLSN)
        return count
    }
}
