import CSupport
import NexaStorage
import NexaWire

/// The documents that a sorted query holds: all matches, or with a limit only the best `capacity` so far.
///
///     arena   | key value | key value | ...              bytes of the documents
///     slots   offset, lengths, lsn, place in the scan    one for each held document
///     keys    slot x sort key -> bytes within the value  what is compared
///     heap    slots; worst on top while collecting with a capacity, best on top while popping
///
/// Equal keys keep the order of the scan, so the order is total. Memory is bounded by `byteCountMax`; going over it is an error
/// that names the ways out. A bounded sort reuses the place of the document that it pushes out where the new one fits.
struct SortBuffer: ~Copyable {
    private struct Slot {
        var offset: Int
        var keyByteCount: Int
        var valueByteCount: Int
        /// Bytes that belong to the slot, used or not.
        var roomByteCount: Int
        var lsn: LSN
        var sequence: Int
    }

    private enum Kind {
        case emptyArray, missing, value
    }

    /// A sort value: its class, and where it lies within the document.
    private struct HeldValue {
        var kind = Kind.missing
        var offset = 0
        var byteCount = 0
    }

    private let spec: SortSpec
    private let capacity: Int
    private let byteCountMax: Int
    private var arena = ByteArena(capacity: 4096)
    private var slots: ContiguousArray<Slot> = []
    private var values: ContiguousArray<HeldValue> = []
    private var heap: ContiguousArray<Int32> = []
    private var candidate: ContiguousArray<HeldValue>
    private var wastedByteCount = 0
    private var sequence = 0

    init(spec: SortSpec, capacity: Int, byteCountMax: Int) {
        self.spec = spec
        self.capacity = min(capacity, Int(Int32.max) - 1)
        self.byteCountMax = byteCountMax
        candidate = .init(repeating: HeldValue(), count: spec.keys.count)
    }

    /// Documents held.
    var count: Int { heap.count }

    // MARK: Collecting

    /// Takes a match, unless `capacity` better ones are held. RESULT_TOO_LARGE when memory is used up.
    mutating func offer(_ document: DocumentView) throws(DocumentError) {
        sequence += 1
        guard capacity > 0 else { return }
        for index in 0..<spec.keys.count { candidate[index] = heldValue(index, document.bytes) }
        if heap.count < capacity {
            try add(document)
        } else if isCandidateBetter(document, than: Int(heap[0])) {
            try replaceWorst(document)
        }
    }

    private func heldValue(_ index: Int, _ document: UnsafeRawBufferPointer) -> HeldValue {
        let key = spec.keys[index]
        switch key.path.sortValue(in: document, descending: key.isDescending) {
        case .emptyArray: return HeldValue(kind: .emptyArray)
        case .missing: return HeldValue()
        case .value(let bytes):
            return HeldValue(kind: .value, offset: bytes.baseAddress! - document.baseAddress!, byteCount: bytes.count)
        }
    }

    private mutating func add(_ document: DocumentView) throws(DocumentError) {
        try reserve(document.key.count + document.bytes.count + 1 + slotByteCount)
        let offset = arena.append(document.key)
        appendValue(document)
        let byteCount = arena.byteCount - offset
        slots.append(
            Slot(
                offset: offset, keyByteCount: document.key.count, valueByteCount: document.bytes.count + 1,
                roomByteCount: byteCount, lsn: document.lsn, sequence: sequence))
        values.append(contentsOf: candidate)
        heap.append(Int32(slots.count - 1))
        if capacity < Int(Int32.max) - 1 { withHeap { heap, held in heap.siftLastUp { held.precedes($1, $0) } } }
    }

    private mutating func replaceWorst(_ document: DocumentView) throws(DocumentError) {
        let index = Int(heap[0])
        let needed = document.key.count + document.bytes.count + 1
        if needed > slots[index].roomByteCount {
            try reserve(needed)
            wastedByteCount += slots[index].roomByteCount
            slots[index].offset = arena.append(document.key)
            appendValue(document)
            slots[index].roomByteCount = needed
        } else {
            let offset = slots[index].offset
            arena.overwrite(at: offset, with: document.key)
            withUnsafeBytes(of: document.flags.rawValue) { arena.overwrite(at: offset + document.key.count, with: $0) }
            arena.overwrite(at: offset + document.key.count + 1, with: document.bytes)
        }
        slots[index].keyByteCount = document.key.count
        slots[index].valueByteCount = document.bytes.count + 1
        slots[index].lsn = document.lsn
        slots[index].sequence = sequence
        for key in 0..<spec.keys.count { values[index * spec.keys.count + key] = candidate[key] }
        withHeap { heap, held in heap.siftDown { held.precedes($1, $0) } }
    }

    private mutating func appendValue(_ document: DocumentView) {
        _ = arena.append(count: 1) { $0.storeBytes(of: document.flags.rawValue, as: UInt8.self) }
        _ = arena.append(document.bytes)
    }

    private var slotByteCount: Int {
        MemoryLayout<Slot>.stride + spec.keys.count * MemoryLayout<HeldValue>.stride + MemoryLayout<Int32>.stride
    }

    private mutating func reserve(_ byteCount: Int) throws(DocumentError) {
        if wastedByteCount > arena.byteCount / 2 && arena.byteCount > 1 << 20 { compact() }
        guard arena.byteCount + byteCount + slots.count * slotByteCount <= byteCountMax else {
            throw DocumentError(
                .resultTooLarge,
                "Sorting these matches needs more than \(byteCountMax >> 20) MiB: set a smaller limit or a narrower filter, "
                    + "or read unsorted")
        }
    }

    /// Copies the live documents into a new arena.
    private mutating func compact() {
        var fresh = ByteArena(capacity: max(4096, arena.byteCount - wastedByteCount))
        for index in slots.indices {
            let used = slots[index].keyByteCount + slots[index].valueByteCount
            slots[index].offset = fresh.append(arena.bytes(at: slots[index].offset, count: used))
            slots[index].roomByteCount = used
        }
        arena = fresh
        wastedByteCount = 0
    }

    // MARK: Popping

    /// Ends the collecting: from now on `popBest` answers.
    mutating func finish() {
        withHeap { heap, held in heap.makeHeap { held.precedes($0, $1) } }
    }

    /// Takes out the best document that is left; valid until the buffer is dropped.
    mutating func popBest() -> DocumentView? {
        guard let best = withHeap({ heap, held in heap.popTop { held.precedes($0, $1) } }) else { return nil }
        let slot = slots[Int(best)]
        return DocumentView(
            key: arena.bytes(at: slot.offset, count: slot.keyByteCount),
            value: arena.bytes(at: slot.offset + slot.keyByteCount, count: slot.valueByteCount), lsn: slot.lsn)
    }

    // MARK: Order

    private func isCandidateBetter(_ document: DocumentView, than slot: Int) -> Bool {
        for index in 0..<spec.keys.count {
            let order = compare(
                candidate[index], document.bytes, values[slot * spec.keys.count + index], documentBytes(slot), index)
            if order != 0 { return order < 0 }
        }
        return false
    }

    private func precedes(_ left: Int32, _ right: Int32) -> Bool {
        let (left, right) = (Int(left), Int(right))
        let count = spec.keys.count
        let leftDocument = documentBytes(left)
        let rightDocument = documentBytes(right)
        for index in 0..<count {
            let order = compare(values[left * count + index], leftDocument, values[right * count + index], rightDocument, index)
            if order != 0 { return order < 0 }
        }
        return slots[left].sequence < slots[right].sequence
    }

    private func documentBytes(_ slot: Int) -> UnsafeRawBufferPointer {
        let slot = slots[slot]
        return arena.bytes(at: slot.offset + slot.keyByteCount + 1, count: slot.valueByteCount - 1)
    }

    private func compare(
        _ left: HeldValue, _ leftDocument: UnsafeRawBufferPointer, _ right: HeldValue, _ rightDocument: UnsafeRawBufferPointer,
        _ index: Int
    ) -> Int32 {
        let order =
            left.kind == .value && right.kind == .value
            ? nexa_mp_compare(
                leftDocument.baseAddress! + left.offset, left.byteCount, rightDocument.baseAddress! + right.offset,
                right.byteCount)
            : Self.compareWithMissing(left, leftDocument, right, rightDocument)
        return spec.keys[index].isDescending ? -order : order
    }

    /// At least one of the two has no value: an empty array sorts below everything, a missing field as null.
    private static func compareWithMissing(
        _ left: HeldValue, _ leftDocument: UnsafeRawBufferPointer, _ right: HeldValue, _ rightDocument: UnsafeRawBufferPointer
    ) -> Int32 {
        if left.kind == .emptyArray { return right.kind == .emptyArray ? 0 : -1 }
        if right.kind == .emptyArray { return 1 }
        let leftIsNull = left.kind == .missing || leftDocument[left.offset] == 0xC0
        let rightIsNull = right.kind == .missing || rightDocument[right.offset] == 0xC0
        return (leftIsNull ? 0 : 1) - (rightIsNull ? 0 : 1)
    }

    /// Lends the heap to `body`, which compares slots with what else this buffer holds.
    private mutating func withHeap<Result>(_ body: (inout ContiguousArray<Int32>, borrowing SortBuffer) -> Result) -> Result {
        var lent: ContiguousArray<Int32> = []
        swap(&lent, &heap)
        let result = body(&lent, self)
        swap(&lent, &heap)
        return result
    }
}
