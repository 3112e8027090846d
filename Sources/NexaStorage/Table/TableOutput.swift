import CSupport

/// The file below a table writer: stores blocks behind each other, remembers what the digest needs, writes in large chunks.
final class TableOutput {
    static let chunkByteCount = 1 << 20

    let file: any File
    let path: String
    let fileContext: UInt64
    /// Where the next block goes.
    private(set) var offset: UInt64 = 0
    private var written: UInt64 = 0
    private var buffer: UnsafeMutableRawBufferPointer
    private let compressionState: UnsafeMutableRawPointer?
    /// (offset, checksum) of every block so far.
    private var digestInput: [UInt64] = []

    init(file: any File, path: String, fileContext: UInt64, compresses: Bool) {
        self.file = file
        self.path = path
        self.fileContext = fileContext
        buffer = .allocate(byteCount: TableOutput.chunkByteCount + (64 << 10), alignment: 64)
        compressionState = compresses ? .allocate(byteCount: nexa_codec_state_size(), alignment: 16) : nil
    }

    deinit {
        buffer.deallocate()
        compressionState?.deallocate()
    }

    /// Stores a raw block behind what is there.
    func append(_ type: BlockType, _ raw: UnsafeRawBufferPointer, compressed: Bool = true) throws(StorageError) -> BlockHandle {
        let storedMax = nexa_codec_stored_max(raw.count)
        try makeRoom(storedMax)
        let pending = Int(offset - written)
        let target = buffer.baseAddress!.assumingMemoryBound(to: UInt8.self) + pending
        var stored = 0
        let status = nexa_block_store(
            compressed ? compressionState : nil, type.rawValue, raw.bytePointer, raw.count, fileContext, offset, target,
            buffer.count - pending, &stored)
        guard status == NEXA_OK, stored <= UInt32.max else {
            throw .tooLarge(what: "block of \(path)", byteCount: raw.count, limit: Int(NEXA_BLOCK_BYTE_COUNT_MAX))
        }
        let handle = BlockHandle(offset: offset, byteCount: UInt32(stored))
        digestInput.append(offset)
        digestInput.append(ByteOrder.loadLE(target, at: stored - 8))
        offset += UInt64(stored)
        if Int(offset - written) >= TableOutput.chunkByteCount { try flush() }
        return handle
    }

    /// XXH3-64 over what the blocks so far left behind.
    var digest: UInt64 { TableOutput.digest(digestInput) }

    static func digest(_ offsetsAndChecksums: [UInt64]) -> UInt64 {
        offsetsAndChecksums.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
    }

    /// Writes the footer and everything that still waits, and syncs the file.
    func finish(_ footer: [UInt8]) throws(StorageError) {
        try makeRoom(footer.count)
        let pending = Int(offset - written)
        UnsafeMutableRawBufferPointer(rebasing: buffer[pending...]).copyBytes(from: footer)
        offset += UInt64(footer.count)
        try flush()
        try file.sync()
    }

    private func makeRoom(_ byteCount: Int) throws(StorageError) {
        if Int(offset - written) + byteCount <= buffer.count { return }
        try flush()
        guard byteCount > buffer.count else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: byteCount, alignment: 64)
    }

    private func flush() throws(StorageError) {
        let pending = Int(offset - written)
        guard pending > 0 else { return }
        try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<pending]), at: written)
        written = offset
    }
}
