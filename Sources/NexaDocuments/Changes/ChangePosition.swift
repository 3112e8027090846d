/// How far somebody was told what happened: a place in the log, down to the operation within a record. The same on every node of a cluster.

import NexaStorage

package struct ChangePosition: Equatable, Sendable {
    /// `index` of a position behind all operations of its record.
    package static let wholeRecord = UInt32.max

    /// The record, and the leadership that wrote it.
    package var record: LogPosition
    /// So many operations of the record were told; `wholeRecord`: all of them.
    package var index: UInt32
    /// The chain of the log in front of the record that is read next (see `LogChain`): two logs with the same chain there have the same
    /// history. 0: not known.
    package var chain: UInt64

    package init(_ record: LogPosition, index: UInt32 = wholeRecord, chain: UInt64 = 0) {
        self.record = record
        self.index = index
        self.chain = chain
    }

    /// The record that is read next.
    package var nextLSN: LSN { index == Self.wholeRecord && record.lsn < .max ? record.lsn + 1 : record.lsn }
    /// Operations of that record that were told.
    package var toldCount: UInt32 { index == Self.wholeRecord ? 0 : index }
}
