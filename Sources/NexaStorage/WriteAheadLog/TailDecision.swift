/// Torn tail or damage: what the bytes behind the last readable record of a segment mean. A pure function over what was seen; `LogRecovery`
/// gathers that and acts on the answer.
///
/// A crash leaves a tail that was never acknowledged, and dropping it is right. Rot, a lost sector or a deleted file look the same at
/// first, and dropping *that* loses acknowledged writes. So every witness of what was durable is asked. With p the end of the last whole
/// record and n its LSN, the first row that fits decides:
///
/// | seen | newest segment | older segment |
/// |---|---|---|
/// | a whole record of a newer format at p | refuse | refuse |
/// | a whole record at p that contradicts what led there (LSN gap, epoch falls, chain differs) | damaged | damaged |
/// | the next segment begins after n with the same chain | | clean |
/// | anything else in an older segment | | damaged |
/// | n below an LSN that a witness outside of the records knows to have been durable | damaged | |
/// | END reached | clean | |
/// | END reached that announces a next segment, and its file is missing or shorter than it was | damaged | |
/// | a whole header behind p says that more than n was durable | damaged | |
/// | zeros, foreign bytes or the end of the file at p, nothing of this segment behind | clean | |
/// | torn bytes at p, or whole records behind p, none proving more than n durable | torn tail | |
package enum TailDecision: Equatable, Sendable {
    case clean
    /// Never acknowledged; left as it is on disk, and writing goes on in a new segment.
    case tornTail
    case damaged(String)
    case refused(String)

    /// Why reading a segment stopped.
    package enum Stop: Equatable, Sendable {
        /// An END record; the length of the next segment's file if it announces one, else 0.
        case end(nextFileByteCount: UInt64)
        /// Where the next segment says that this one ended, or the end of the file.
        case limit
        /// No record of this segment: zeros, or leftovers of another use of the file.
        case blank
        /// The beginning of a record that is not whole.
        case torn(RecordFault)
        /// A whole record that cannot follow what came before.
        case contradiction(String)
        /// A whole record that this version does not know.
        case unsupported(String)
    }

    package struct Situation: Equatable, Sendable {
        package var stop: Stop
        /// LSN and chain at the stop.
        package var lsn: LSN
        package var chain: UInt64
        /// Whole headers of this segment behind the stop, and the highest durable LSN among them.
        package var hasRecordsBehind: Bool
        package var durableLSNBehind: LSN
        /// What the next segment's header says about the end of this one; nil in the newest segment.
        package var next: SegmentEnd?
        /// The length of the next segment's file, begun or only prepared; nil when there is none.
        package var nextFileByteCount: UInt64?
        /// The highest LSN that anything outside of the segment proves durable.
        package var provenLSN: LSN

        package init(
            stop: Stop, lsn: LSN, chain: UInt64, hasRecordsBehind: Bool = false, durableLSNBehind: LSN = 0,
            next: SegmentEnd? = nil,
            nextFileByteCount: UInt64? = nil, provenLSN: LSN = 0
        ) {
            self.stop = stop
            self.lsn = lsn
            self.chain = chain
            self.hasRecordsBehind = hasRecordsBehind
            self.durableLSNBehind = durableLSNBehind
            self.next = next
            self.nextFileByteCount = nextFileByteCount
            self.provenLSN = provenLSN
        }
    }

    package static func decide(_ situation: Situation) -> TailDecision {
        if case .unsupported(let what) = situation.stop { return .refused(what) }
        if case .contradiction(let what) = situation.stop { return .damaged(what) }
        if let next = situation.next { return decideOlder(situation, next) }
        if situation.lsn < situation.provenLSN {
            return .damaged("the log ends at LSN \(situation.lsn), and LSN \(situation.provenLSN) is known to have been durable")
        }
        if case .end(let announced) = situation.stop {
            return announced <= situation.nextFileByteCount ?? 0
                ? .clean : .damaged("it announces a next segment of \(announced) bytes, and that file is missing or was cut")
        }
        if situation.durableLSNBehind > situation.lsn {
            return .damaged(
                "a later record proves that LSN \(situation.durableLSNBehind) was durable, and it can be read only up to LSN "
                    + "\(situation.lsn)")
        }
        if case .torn = situation.stop { return .tornTail }
        return situation.hasRecordsBehind ? .tornTail : .clean
    }

    private static func decideOlder(_ situation: Situation, _ next: SegmentEnd) -> TailDecision {
        if situation.lsn == next.lsn && situation.chain == next.chain { return .clean }
        if situation.lsn == next.lsn {
            return .damaged("its records up to LSN \(next.lsn) are not those that the next segment follows")
        }
        return .damaged("the next segment follows LSN \(next.lsn), and this one can be read only up to LSN \(situation.lsn)")
    }
}
