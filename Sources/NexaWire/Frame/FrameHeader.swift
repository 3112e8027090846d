// The 12 bytes in front of every message, big-endian:
//
//     offset  0        4         5      6       8                12
//            | "NEXA" | version | type | flags | payload length |
//            | 4      | u8 = 1  | u8   | u16   | u32            |
//
// The length counts everything after the header: flag prefixes and payload.

/// The fixed head of a NEXA frame.
package struct FrameHeader: Sendable, Equatable {
    package static let byteCount = 12
    package static let magic: UInt32 = 0x4E45_5841
    package static let currentVersion: UInt8 = 1

    package var version: UInt8
    package var type: UInt8
    package var flags: FrameFlags
    package var payloadByteCount: UInt32

    package init(
        version: UInt8 = FrameHeader.currentVersion, type: UInt8, flags: FrameFlags = [], payloadByteCount: UInt32
    ) {
        self.version = version
        self.type = type
        self.flags = flags
        self.payloadByteCount = payloadByteCount
    }

    /// Reads the header fields from at least 12 bytes; nil when the magic is not "NEXA". Says nothing about version, flags or length:
    /// `FrameParser` judges those.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count >= FrameHeader.byteCount, "a frame header is 12 bytes")
        guard UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)) == FrameHeader.magic else { return nil }
        version = bytes[4]
        type = bytes[5]
        flags = FrameFlags(rawValue: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self)))
        payloadByteCount = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    }

    /// Writes the 12 bytes to `bytes`.
    package func encode(into bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= FrameHeader.byteCount, "a frame header is 12 bytes")
        bytes.storeBytes(of: FrameHeader.magic.bigEndian, toByteOffset: 0, as: UInt32.self)
        bytes[4] = version
        bytes[5] = type
        bytes.storeBytes(of: flags.rawValue.bigEndian, toByteOffset: 6, as: UInt16.self)
        bytes.storeBytes(of: payloadByteCount.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}

/// A position in the history of a store, as the TOKEN flag carries it.
package struct PositionToken: Sendable, Hashable {
    package static let byteCount = 16
    package var epoch: UInt64
    package var lsn: UInt64

    package init(epoch: UInt64, lsn: UInt64) {
        self.epoch = epoch
        self.lsn = lsn
    }
}
