import CSupport
import Glibc

/// What tells whether an input is still the one that an earlier run read from: its size and time of change, and a hash of its beginning.
/// A pipe has only its beginning.
package struct InputIdentity: Equatable, Sendable {
    /// So many bytes are hashed, fewer when the input is shorter.
    static let prefixByteCountMax = 64 << 10

    package var byteCount: UInt64?
    package var modifiedNanoseconds: Int64?
    package var prefixByteCount: Int
    package var prefixHash: UInt64

    /// Of a file, nil where there is none, and the first bytes that were read.
    init(_ file: stat?, beginning: UnsafeRawBufferPointer) {
        let prefix = UnsafeRawBufferPointer(rebasing: beginning.prefix(Self.prefixByteCountMax))
        prefixByteCount = prefix.count
        prefixHash = nexa_xxh3(prefix.baseAddress, prefix.count, 0)
        guard let file else { return }
        byteCount = UInt64(file.st_size)
        modifiedNanoseconds = Int64(file.st_mtim.tv_sec) * 1_000_000_000 + Int64(file.st_mtim.tv_nsec)
    }

    package init(byteCount: UInt64?, modifiedNanoseconds: Int64?, prefixByteCount: Int, prefixHash: UInt64) {
        self.byteCount = byteCount
        self.modifiedNanoseconds = modifiedNanoseconds
        self.prefixByteCount = prefixByteCount
        self.prefixHash = prefixHash
    }

    /// What differs from an earlier run's input, for people; nil when nothing does.
    func difference(from earlier: InputIdentity) -> String? {
        if byteCount != earlier.byteCount { return "its size is another" }
        if prefixByteCount != earlier.prefixByteCount || prefixHash != earlier.prefixHash { return "its beginning is another" }
        if modifiedNanoseconds != earlier.modifiedNanoseconds { return "it was written to since" }
        return nil
    }
}
