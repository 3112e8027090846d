/// A position as clients keep it: opaque to them, 33 bytes, big-endian.
///
///      0  1  version, 1
///      1  8  epoch          9  8  lsn        17  4  operations told, FFFFFFFF: all
///     21  8  chain in front of the record that comes next, 0: not known
///     29  4  check: the low half of the XXH3-64 of the 29 bytes in front of it
///
/// The check finds what was cut off or mistyped; whether the place is part of this history is another question, which epoch and chain answer.

import CSupport
import NexaStorage

package enum ResumeToken {
    package static let byteCount = 33
    private static let version: UInt8 = 1
    private static let checkedByteCount = 29

    /// Calls `body` with the 33 bytes.
    package static func withBytes<R>(of position: ChangePosition, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 8) { bytes in
            let base = bytes.baseAddress!
            base.storeBytes(of: version, as: UInt8.self)
            ByteOrder.storeBE(position.record.epoch, to: base, at: 1)
            ByteOrder.storeBE(position.record.lsn, to: base, at: 9)
            ByteOrder.storeBE(position.index, to: base, at: 17)
            ByteOrder.storeBE(position.chain, to: base, at: 21)
            ByteOrder.storeBE(check(base), to: base, at: checkedByteCount)
            return body(UnsafeRawBufferPointer(bytes))
        }
    }

    package static func encode(_ position: ChangePosition) -> [UInt8] { withBytes(of: position) { Array($0) } }

    /// Nil for bytes that are no token. Total.
    package static func decode(_ bytes: UnsafeRawBufferPointer) -> ChangePosition? {
        guard bytes.count == byteCount, let base = bytes.baseAddress, bytes[0] == version,
            ByteOrder.loadBE(base, at: checkedByteCount) == check(base)
        else { return nil }
        let lsn: LSN = ByteOrder.loadBE(base, at: 9)
        let index: UInt32 = ByteOrder.loadBE(base, at: 17)
        guard lsn < .max, lsn > 0 || index == ChangePosition.wholeRecord else { return nil }
        return ChangePosition(
            LogPosition(epoch: ByteOrder.loadBE(base, at: 1), lsn: lsn), index: index, chain: ByteOrder.loadBE(base, at: 21))
    }

    private static func check(_ base: UnsafeRawPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: nexa_xxh3(base, checkedByteCount, 0))
    }
}
