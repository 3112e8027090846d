/// What others know about the log, and the log itself may have lost: the witnesses that tell damage from a torn tail.
package struct DurableEvidence: Equatable, Sendable {
    /// The lowest segment that must exist; 0 when the store never had one.
    package var walLow: UInt64
    /// Tables hold everything up to here, so the log need not.
    package var flushedLSN: LSN
    /// The manifest's last remembered durable place.
    package var mark: DurableMark?
    /// The highest LSN that a follower or a client's token proves to have been durable here.
    package var acknowledgedLSN: LSN

    package init(walLow: UInt64 = 0, flushedLSN: LSN = 0, mark: DurableMark? = nil, acknowledgedLSN: LSN = 0) {
        self.walLow = walLow
        self.flushedLSN = flushedLSN
        self.mark = mark
        self.acknowledgedLSN = acknowledgedLSN
    }

    /// The highest LSN that the log must reach. Tables do not count: after a failed sync they may hold what the log has lost, and what they
    /// hold is not missed.
    package var provenLSN: LSN { max(mark?.lsn ?? 0, acknowledgedLSN) }
}
