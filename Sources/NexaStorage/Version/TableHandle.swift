// A table of a version. It is opened by the first read that needs it, so opening a store touches no table, and its file is
// removed when the last view that shows it is gone and the manifest no longer names it.

import CSupport
import Glibc
import Synchronization

/// One table file, shared by all versions that contain it.
final class TableHandle: Sendable {
    let file: TableFile
    private let store: TableStore
    private let isObsolete = Atomic<Bool>(false)
    private let lock = NexaLock()
    /// Bits of a retained `TableReader` reference; 0 until the first use.
    private let opened = Atomic<UInt>(0)
    /// Where the filter of the open table lies, if what the filter denies is not in the table: then no range tombstone is there.
    private let filter = Atomic<UInt>(0)

    init(_ file: TableFile, store: TableStore) {
        self.file = file
        self.store = store
    }

    deinit {
        if let pointer = UnsafeRawPointer(bitPattern: opened.load(ordering: .acquiring)) {
            let reader = Unmanaged<TableReader>.fromOpaque(pointer)
            store.cache.discharge(reader.takeUnretainedValue().residentByteCount)
            reader.release()
        }
        if isObsolete.load(ordering: .acquiring) { store.discard(file.number) }
    }

    /// The file as the manifest names it in a level; `file.level` is where it was written.
    func file(inLevel level: Int) -> TableFile {
        var moved = file
        moved.level = level
        return moved
    }

    /// No version of the manifest names this table any more: remove its file when nobody reads it.
    func markObsolete() { isObsolete.store(true, ordering: .releasing) }

    /// The open table. With `mayBlock` false an unopened one throws `wouldBlock`.
    @inline(__always)
    func reader(mayBlock: Bool) throws(StorageError) -> TableReader {
        if let pointer = UnsafeRawPointer(bitPattern: opened.load(ordering: .acquiring)) {
            return Unmanaged<TableReader>.fromOpaque(pointer).takeUnretainedValue()
        }
        guard mayBlock else { throw .wouldBlock }
        return try open()
    }

    /// Whether a read has opened it.
    var isOpen: Bool { opened.load(ordering: .relaxed) != 0 }

    private func open() throws(StorageError) -> TableReader {
        try lock.withLock { () throws(StorageError) -> TableReader in
            if let pointer = UnsafeRawPointer(bitPattern: opened.load(ordering: .acquiring)) {
                return Unmanaged<TableReader>.fromOpaque(pointer).takeUnretainedValue()
            }
            let reader = try store.openTable(file)
            store.cache.charge(reader.residentByteCount)
            opened.store(UInt(bitPattern: Unmanaged.passRetained(reader).toOpaque()), ordering: .releasing)
            if file.tombstoneCount == 0, let bloom = reader.filter?.bloom {
                filter.store(UInt(bitPattern: bloom), ordering: .releasing)
            }
            return reader
        }
    }

    /// False: a key with this hash is not in the table. True where that is not known, as in a table that was not opened yet.
    @inline(__always)
    func filterAllows(_ hash: UInt64) -> Bool {
        guard let bloom = UnsafePointer<nexa_bloom>(bitPattern: filter.load(ordering: .acquiring)) else { return true }
        return nexa_bloom_may_contain(bloom, hash)
    }
}

/// Creates, opens and removes the tables of a store.
final class TableStore: Sendable {
    let layout: StoreLayout
    let fileSystem: any FileSystem
    let cache: BlockCache
    let options: TableOptions
    private let nextNumber: Atomic<UInt64>
    private let lock = NexaLock()
    nonisolated(unsafe) private var discarded: [UInt64] = []
    nonisolated(unsafe) private var discardHook: (@Sendable () -> Void)?

    init(layout: StoreLayout, fileSystem: any FileSystem, cache: BlockCache, options: TableOptions, nextNumber: UInt64) {
        self.layout = layout
        self.fileSystem = fileSystem
        self.cache = cache
        self.options = options
        self.nextNumber = Atomic(nextNumber)
    }

    /// No table has this number or a higher one.
    var nextFileNumber: UInt64 { nextNumber.load(ordering: .acquiring) }

    func takeFileNumber() -> UInt64 { nextNumber.add(1, ordering: .acquiringAndReleasing).oldValue }

    func openTable(_ file: TableFile) throws(StorageError) -> TableReader {
        try TableReader.open(
            path: layout.tablePath(file.number), fileSystem: fileSystem, cache: cache, expecting: TableInfo(file))
    }

    /// Remembers a file to remove; called wherever the last reference to its handle goes, so it does no I/O.
    func discard(_ number: UInt64) {
        let hook = lock.withLock { () -> (@Sendable () -> Void)? in
            discarded.append(number)
            return discardHook
        }
        hook?()
    }

    /// `hook` is called after each `discard`, on whatever thread: somebody has to call `removeDiscarded` then.
    func setDiscardHook(_ hook: @escaping @Sendable () -> Void) { lock.withLock { discardHook = hook } }

    /// Removes what was discarded. A file that cannot be removed now is an orphan that the next open removes.
    func removeDiscarded() {
        let numbers = lock.withLock { () -> [UInt64] in
            defer { discarded.removeAll() }
            return discarded
        }
        for number in numbers { try? fileSystem.remove(layout.tablePath(number)) }
    }
}

/// Order of keys: bytewise, a prefix before what it begins.
@inline(__always)
func compareBytes(_ left: UnsafeRawBufferPointer, _ right: [UInt8]) -> Int {
    right.withUnsafeBytes { compareBytes(left, $0) }
}

@inline(__always)
func compareBytes(_ left: [UInt8], _ right: [UInt8]) -> Int {
    left.withUnsafeBytes { left in right.withUnsafeBytes { compareBytes(left, $0) } }
}

@inline(__always)
func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = min(left.count, right.count)
    if common > 0 {
        let order = memcmp(left.baseAddress!, right.baseAddress!, common)
        if order != 0 { return Int(order) }
    }
    return left.count - right.count
}

extension TableInfo {
    /// What the manifest says that a table's footer must say, too.
    init(_ file: TableFile) {
        self.init()
        fileNumber = file.number
        byteCount = file.byteCount
        fileContext = file.fileContext
        digest = file.digest
    }
}
