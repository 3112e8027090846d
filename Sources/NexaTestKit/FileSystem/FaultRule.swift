import NexaStorage

/// A call to a file system or file.
package enum FileOperation: String, Hashable, Sendable, CaseIterable {
    case open, read, write, sync, preallocate, rename, remove, link, createDirectory, list, syncDirectory, lock
}

/// "The third sync of a file that ends in `.wal` fails with EIO, once": which calls, and what happens to them.
package struct FaultRule: Sendable {
    package enum Effect: Sendable {
        /// The call does nothing and throws this error number.
        case fail(errno: Int32)
        /// A write stores its first bytes and throws; a read gets its first bytes only, as if the file ended there.
        case short(byteCount: Int, errno: Int32)
        /// The call answers success and does nothing: a lost write, a lying sync.
        case drop
        /// One bit of the bytes is wrong: in what a read returns, or in what a write stores.
        case flip(byte: Int, mask: UInt8)
    }

    package var operation: FileOperation
    /// The end of the path; nil for any.
    package var pathSuffix: String?
    /// The first matching call that is hit, from 1.
    package var nth: Int
    /// How many calls are hit from there on.
    package var count: Int
    package var effect: Effect

    package init(_ operation: FileOperation, pathSuffix: String? = nil, nth: Int = 1, count: Int = 1, effect: Effect) {
        self.operation = operation
        self.pathSuffix = pathSuffix
        self.nth = nth
        self.count = count
        self.effect = effect
    }

    func matches(_ operation: FileOperation, _ path: String) -> Bool {
        operation == self.operation && pathSuffix.map(path.hasSuffix) ?? true
    }
}
