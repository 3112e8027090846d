import NexaWire

/// The header of a map that is in an output already.
enum MapHeader {
    /// Gives the map whose header stands at `start` another count, and moves what stands behind when that takes more bytes or fewer.
    static func replace(at start: Int, newCount: Int, in output: OutputBytes) {
        let tag = output.bytes[start]
        switch (tag, newCount) {
        case (0x80...0x8F, 0..<16): output.storeBE(0x80 | UInt8(newCount), at: start)
        case (0x80...0x8F, _):
            output.insertGap(2, at: start + 1)
            output.storeBE(UInt8(0xDE), at: start)
            output.storeBE(UInt16(newCount), at: start + 1)
        case (0xDE, 0...0xFFFF): output.storeBE(UInt16(newCount), at: start + 1)
        case (0xDE, _):
            output.insertGap(2, at: start + 1)
            output.storeBE(UInt8(0xDF), at: start)
            output.storeBE(UInt32(newCount), at: start + 1)
        default: output.storeBE(UInt32(newCount), at: start + 1)
        }
    }
}
