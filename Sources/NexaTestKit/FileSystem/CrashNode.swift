import NexaStorage

/// One file of a `CrashFileSystem`, whatever its names: pages that clones share until they change, and beside them the synced content of
/// every sector that was written since the last sync. Guarded by the file system's lock.
final class CrashNode {
    private static let pageByteCount = 4096
    private static let zeroPage = [UInt8](repeating: 0, count: pageByteCount)

    let isDirectory: Bool
    private(set) var byteCount = 0
    private var pages: [[UInt8]] = []
    private var syncedByteCount = 0
    /// Sector number to what is on disk there.
    private var syncedSectors: [Int: [UInt8]] = [:]

    init(isDirectory: Bool) { self.isDirectory = isDirectory }

    /// This file after a crash. The length is the old or the new one; beyond what survived of the bytes are zeros.
    func crashed(keepUnsynced: Double, _ generator: inout SeededGenerator) -> CrashNode {
        let result = CrashNode(isDirectory: isDirectory)
        result.pages = pages
        for (sector, bytes) in syncedSectors.sorted(by: { $0.key < $1.key }) where !generator.chance(keepUnsynced) {
            result.replaceSector(sector, bytes)
        }
        result.setByteCount(syncedByteCount == byteCount || generator.chance(keepUnsynced) ? byteCount : syncedByteCount)
        result.syncedByteCount = result.byteCount
        return result
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let count = max(0, min(buffer.count, byteCount - offset))
        forEachPiece(offset, count) { page, inPage, done, length in
            pages[page].withUnsafeBytes { bytes in
                (buffer.baseAddress! + done).copyMemory(from: bytes.baseAddress! + inPage, byteCount: length)
            }
        }
        return count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard bytes.count > 0 else { return }
        let end = offset + bytes.count
        extend(to: end)
        rememberSectors(offset, end)
        forEachPiece(offset, bytes.count) { page, inPage, done, length in
            pages[page].withUnsafeMutableBytes { target in
                (target.baseAddress! + inPage).copyMemory(from: bytes.baseAddress! + done, byteCount: length)
            }
        }
    }

    /// Makes the file at least this long; new bytes are zero.
    func extend(to end: Int) {
        guard end > byteCount else { return }
        let pageCount = (end + CrashNode.pageByteCount - 1) / CrashNode.pageByteCount
        if pageCount > pages.count {
            pages.append(contentsOf: repeatElement(CrashNode.zeroPage, count: pageCount - pages.count))
        }
        byteCount = end
    }

    func truncate() {
        rememberSectors(0, byteCount)
        pages = []
        byteCount = 0
    }

    func sync() {
        syncedSectors.removeAll()
        syncedByteCount = byteCount
    }

    private func rememberSectors(_ start: Int, _ end: Int) {
        let size = CrashFileSystem.sectorByteCount
        for sector in start / size..<(end + size - 1) / size where syncedSectors[sector] == nil {
            let page = sector * size / CrashNode.pageByteCount
            let inPage = sector * size % CrashNode.pageByteCount
            syncedSectors[sector] =
                page < pages.count ? Array(pages[page][inPage..<inPage + size]) : Array(repeating: 0, count: size)
        }
    }

    private func replaceSector(_ sector: Int, _ bytes: [UInt8]) {
        let page = sector * bytes.count / CrashNode.pageByteCount
        guard page < pages.count else { return }
        let inPage = sector * bytes.count % CrashNode.pageByteCount
        pages[page].replaceSubrange(inPage..<inPage + bytes.count, with: bytes)
    }

    private func setByteCount(_ count: Int) {
        let pageCount = (count + CrashNode.pageByteCount - 1) / CrashNode.pageByteCount
        if pages.count > pageCount { pages.removeLast(pages.count - pageCount) }
        extend(to: count)
        byteCount = count
        let tail = count % CrashNode.pageByteCount
        if tail > 0 {
            for index in tail..<CrashNode.pageByteCount { pages[pageCount - 1][index] = 0 }
        }
    }

    private func forEachPiece(
        _ offset: Int, _ count: Int, _ body: (_ page: Int, _ inPage: Int, _ done: Int, _ length: Int) -> Void
    ) {
        var done = 0
        while done < count {
            let (page, inPage) = (offset + done).quotientAndRemainder(dividingBy: CrashNode.pageByteCount)
            let length = min(count - done, CrashNode.pageByteCount - inPage)
            body(page, inPage, done, length)
            done += length
        }
    }
}
