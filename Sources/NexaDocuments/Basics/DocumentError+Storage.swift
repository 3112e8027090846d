import NexaStorage
import NexaWire

/// The one place where an error of the engine becomes an error of this room.
extension DocumentError {
    package init(_ error: StorageError) {
        switch error {
        case .wouldBlock:
            self = .wouldBlock
        case .io:
            self.init(.storageFailed, "\(error)")
        case .corruption, .unsupportedFormat:
            self.init(.corruption, "\(error)")
        case .locked, .writesRefused, .following, .staleEpoch:
            self.init(.readOnly, "\(error)")
        case .tooLarge:
            self.init(.tooLarge, "\(error)")
        case .overloaded:
            self.init(.overloaded, "\(error)")
        case .closed:
            self.init(.shuttingDown, "\(error)")
        }
    }

    /// Runs engine calls in a function of this room.
    @inline(__always)
    static func mapping<R>(_ body: () throws(StorageError) -> R) throws(DocumentError) -> R {
        do { return try body() } catch { throw DocumentError(error) }
    }
}
