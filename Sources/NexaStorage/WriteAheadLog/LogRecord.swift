import CSupport

/// A whole record of the log, as readers see it. The bytes are borrowed from the reader until its next step.
package struct LogRecord {
    package let header: RecordHeader
    package let segmentID: UInt64
    package let offset: UInt64
    /// The part that travels: header bytes 16..<56 and the stored payload, without padding.
    package let portable: UnsafeRawBufferPointer
    /// The payload as it is stored, compressed or not.
    package var stored: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: portable[(RecordHeader.byteCount - RecordHeader.portableOffset)...])
    }

    init(header: RecordHeader, segmentID: UInt64, offset: UInt64, bytes: UnsafeRawBufferPointer) {
        self.header = header
        self.segmentID = segmentID
        self.offset = offset
        portable = UnsafeRawBufferPointer(
            rebasing: bytes[RecordHeader.portableOffset..<RecordHeader.byteCount + Int(header.storedByteCount)])
    }
}

/// Reusable memory for expanding payloads. Confined to one thread.
package final class PayloadExpander {
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    package init() {}
    deinit { memory.deallocate() }

    /// The payload as the committer wrote it, valid until the next call; nil when a compressed one does not expand to its raw length.
    package func expand(_ stored: UnsafeRawBufferPointer, _ header: RecordHeader) -> UnsafeRawBufferPointer? {
        guard header.codec == .lz4 else { return header.codec == .raw ? stored : nil }
        let rawByteCount = Int(header.rawByteCount)
        if memory.count < rawByteCount {
            memory.deallocate()
            memory = .allocate(byteCount: max(rawByteCount, 64 << 10), alignment: 8)
        }
        guard nexa_lz4_decompress(stored.baseAddress, stored.count, memory.baseAddress, rawByteCount) else { return nil }
        return UnsafeRawBufferPointer(rebasing: memory[..<rawByteCount])
    }
}
