/// The position of one atomic batch in the log of a store. Dense: the first record has 1 and each record adds one; 0 means "nothing
/// written yet". It is also the version of every entry of that batch.
package typealias LSN = UInt64

/// The leadership under which a record was written. The first epoch is 1; it never decreases along the log.
package typealias Epoch = UInt64

/// Where a node stands. Of two positions the one with the higher epoch is newer, whatever its LSN.
package struct LogPosition: Comparable, Hashable, Sendable {
    package var epoch: Epoch
    package var lsn: LSN

    package init(epoch: Epoch, lsn: LSN) {
        self.epoch = epoch
        self.lsn = lsn
    }

    package static func < (left: LogPosition, right: LogPosition) -> Bool {
        left.epoch == right.epoch ? left.lsn < right.lsn : left.epoch < right.epoch
    }
}

extension LogPosition: CustomStringConvertible {
    package var description: String { "\(epoch):\(lsn)" }
}
