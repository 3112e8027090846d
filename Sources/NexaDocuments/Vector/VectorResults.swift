import NexaStorage
import NexaWire

/// The best documents of a vector search so far: a heap with the worst on top, each with its bytes.
///
/// A document that is pushed out leaves its place to the next one that fits; the memory of all is bounded.
struct VectorResults: ~Copyable {
    private struct Entry {
        var score: Double
        /// Place in the scan: decides between equal scores.
        var sequence: Int
        var offset: Int
        var keyByteCount: Int
        var valueByteCount: Int
        var roomByteCount: Int
        var lsn: LSN
    }

    private let capacity: Int
    private let byteCountMax: Int
    private var arena = ByteArena(capacity: 1024)
    private var heap: ContiguousArray<Entry> = []
    private var sequence = 0
    private var wastedByteCount = 0

    init(capacity: Int, byteCountMax: Int) {
        self.capacity = capacity
        self.byteCountMax = byteCountMax
    }

    var count: Int { heap.count }

    /// Takes a scored document, unless `capacity` better ones are held. RESULT_TOO_LARGE when memory is used up.
    @inline(__always)
    mutating func offer(_ document: DocumentView, score: Double) throws(DocumentError) {
        sequence += 1
        if heap.count == capacity {
            guard let worst = heap.first, score > worst.score else { return }
        }
        try take(document, score)
    }

    private mutating func take(_ document: DocumentView, _ score: Double) throws(DocumentError) {
        precondition(!score.isNaN, "every two vectors have a score")
        let needed = document.key.count + 1 + document.bytes.count
        var entry = Entry(
            score: score, sequence: sequence, offset: 0, keyByteCount: document.key.count,
            valueByteCount: 1 + document.bytes.count, roomByteCount: needed, lsn: document.lsn)
        if heap.count < capacity {
            entry.offset = try store(document)
            heap.append(entry)
            heap.siftLastUp(isAbove: Self.isWorse)
            return
        }
        let worst = heap[0]
        if worst.roomByteCount >= needed {
            entry.offset = worst.offset
            entry.roomByteCount = worst.roomByteCount
            overwrite(at: worst.offset, document)
        } else {
            wastedByteCount += worst.roomByteCount
            heap[0].roomByteCount = 0
            entry.offset = try store(document)
        }
        heap[0] = entry
        heap.siftDown(isAbove: Self.isWorse)
    }

    private mutating func store(_ document: DocumentView) throws(DocumentError) -> Int {
        let needed = document.key.count + 1 + document.bytes.count
        if arena.byteCount + needed > byteCountMax && wastedByteCount > 0 { compact() }
        guard arena.byteCount + needed <= byteCountMax else {
            throw DocumentError(
                .resultTooLarge, "The results of this search need more than \(byteCountMax >> 20) MiB: set a smaller limit")
        }
        let offset = arena.append(document.key)
        _ = arena.append(count: 1) { $0.storeBytes(of: document.flags.rawValue, as: UInt8.self) }
        _ = arena.append(document.bytes)
        return offset
    }

    private func overwrite(at offset: Int, _ document: DocumentView) {
        arena.overwrite(at: offset, with: document.key)
        withUnsafeBytes(of: document.flags.rawValue) { arena.overwrite(at: offset + document.key.count, with: $0) }
        arena.overwrite(at: offset + document.key.count + 1, with: document.bytes)
    }

    /// Copies the live documents into a new arena; the entry without room is about to be replaced.
    private mutating func compact() {
        var fresh = ByteArena(capacity: max(1024, arena.byteCount - wastedByteCount))
        for index in heap.indices where heap[index].roomByteCount > 0 {
            let used = heap[index].keyByteCount + heap[index].valueByteCount
            heap[index].offset = fresh.append(arena.bytes(at: heap[index].offset, count: used))
            heap[index].roomByteCount = used
        }
        arena = fresh
        wastedByteCount = 0
    }

    // MARK: Order

    /// Ends the search: entries are best first from now on.
    mutating func finish() {
        heap.sort { Self.isWorse($1, $0) }
    }

    func score(at index: Int) -> Double { heap[index].score }

    /// The document of a result; valid while the results live.
    func document(at index: Int) -> DocumentView {
        let entry = heap[index]
        let key = arena.bytes(at: entry.offset, count: entry.keyByteCount)
        let value = arena.bytes(at: entry.offset + entry.keyByteCount, count: entry.valueByteCount)
        guard let view = DocumentView(key: key, value: value, lsn: entry.lsn) else { preconditionFailure("stored as a document") }
        return view
    }

    private static func isWorse(_ left: Entry, _ right: Entry) -> Bool {
        left.score != right.score ? left.score < right.score : left.sequence > right.sequence
    }
}
