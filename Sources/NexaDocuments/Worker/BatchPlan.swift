import NexaStorage
import NexaWire

/// What one item of a batch is to do, found out before any latch is taken.
struct BatchItem {
    enum Operation {
        /// Of a new document; `put` also replaces.
        case create, put
        case update, delete
        /// A marker document of existing clients: its collection is declared, nothing is stored.
        case marker
    }

    var operation: Operation
    /// Place in the request.
    var index: Int
    /// Place in `BatchPlan.collections`.
    var collection: Int
    /// The document or the updates.
    var body = UnsafeRawBufferPointer.none
    /// The engine's key in `BatchPlan.keys`.
    var keyOffset = 0
    var keyByteCount = 0
    var hash: UInt64 = 0
    /// Of a vector whose collection had none declared when the batch was planned.
    var undeclaredDimensions: Int?
    var options: WriteOptions
}

/// The items of one BATCH_WRITE with their keys, and which latches they need. Reused from batch to batch by one worker.
///
/// Generated ids need no latch of their own: nobody else can name them yet. The plan still holds at least one stripe, because
/// a drop of a collection waits for all latches (see `Catalog`).
struct BatchPlan: ~Copyable {
    private(set) var items: ContiguousArray<BatchItem> = []
    private(set) var collections: ContiguousArray<Collection> = []
    private(set) var keys = ByteArena(capacity: 4096)
    /// Whether any key came from the caller: only then can two items meet on one key.
    private(set) var hasGivenKeys = false
    /// Whether an item may be the first of its collection with a vector.
    private(set) var hasUndeclaredVectors = false
    /// Dimensions of the first vectors that the batch stores in collections (by place) that have none declared.
    private(set) var firstVectors: [(collection: Int, dimensions: Int)] = []
    private var stripeBits = InlineArray<16, UInt64>(repeating: 0)

    init() {
        precondition(KeyLatches.stripeCount == 16 * 64)
    }

    mutating func begin() {
        items.removeAll(keepingCapacity: items.capacity <= 4096)
        collections.removeAll(keepingCapacity: true)
        keys.removeAll()
        hasGivenKeys = false
        hasUndeclaredVectors = false
        firstVectors.removeAll()
        stripeBits = .init(repeating: 0)
    }

    /// Gives memory back.
    mutating func release() {
        begin()
        items = []
        keys.removeAll(keeping: 0)
    }

    /// Place of a collection in the list, which names it at most a few times.
    mutating func place(of collection: Collection) -> Int {
        if let last = collections.last, last === collection { return collections.count - 1 }
        if let known = collections.firstIndex(where: { $0 === collection }) { return known }
        collections.append(collection)
        return collections.count - 1
    }

    /// Adds an item with the engine's key that `engineKey` is.
    @inline(__always)
    mutating func append(_ item: BatchItem, engineKey: UnsafeRawBufferPointer, isGenerated: Bool) {
        var item = item
        item.keyOffset = keys.append(engineKey)
        item.keyByteCount = engineKey.count
        item.hash = DocumentWorker.hash(engineKey)
        if !isGenerated || items.isEmpty {
            let stripe = KeyLatches.stripe(of: item.hash)
            stripeBits[stripe / 64] |= 1 << UInt64(stripe % 64)
        }
        if !isGenerated { hasGivenKeys = true }
        if item.undeclaredDimensions != nil { hasUndeclaredVectors = true }
        items.append(item)
    }

    /// Dimensions of the first vector that the batch stores in a collection.
    func firstDimensions(of collection: Int) -> Int? {
        firstVectors.first { $0.collection == collection }?.dimensions
    }

    /// Notes that an item with a vector is stored.
    mutating func noteFirstVector(_ item: BatchItem) {
        guard let dimensions = item.undeclaredDimensions, firstDimensions(of: item.collection) == nil else { return }
        firstVectors.append((item.collection, dimensions))
    }

    /// The engine's key of an item; valid until the plan changes.
    @inline(__always)
    func engineKey(_ item: BatchItem) -> UnsafeRawBufferPointer {
        keys.bytes(at: item.keyOffset, count: item.keyByteCount)
    }

    /// The latches that the items need: ascending and distinct.
    func stripes() -> [Int] {
        var stripes: [Int] = []
        for word in 0..<16 {
            var bits = stripeBits[word]
            while bits != 0 {
                stripes.append(word * 64 + bits.trailingZeroBitCount)
                bits &= bits - 1
            }
        }
        return stripes
    }
}
