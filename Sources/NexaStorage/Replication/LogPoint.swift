/// A position together with the chain that leads there: what two nodes compare to know that they have the same history.
package struct LogPoint: Hashable, Sendable {
    package var epoch: Epoch
    package var lsn: LSN
    /// Up to and with the record `lsn`.
    package var chain: UInt64

    package init(epoch: Epoch, lsn: LSN, chain: UInt64) {
        self.epoch = epoch
        self.lsn = lsn
        self.chain = chain
    }

    package init(_ end: LogEnd) { self.init(epoch: end.epoch, lsn: end.lsn, chain: end.chain) }

    package var position: LogPosition { LogPosition(epoch: epoch, lsn: lsn) }
}

extension LogPoint: CustomStringConvertible {
    package var description: String { "\(epoch):\(lsn) chain \(Hex.string(chain))" }
}
