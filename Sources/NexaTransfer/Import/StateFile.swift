import Glibc
import NexaStorage

/// The file of an `ImportState`: replaced whole by a rename, so that a kill or a power cut leaves the old state or the new one, and locked from
/// before it is read until its import ends. One without a byte is that of an import that has not begun. What no import wrote is left alone.
final class StateFile {
    /// More than the longest settings take.
    private static let byteCountMax = 4 << 20

    private let path: String
    /// Holds the lock on the file that stands under the name.
    private var descriptor: Int32
    private var isEmpty = false

    init(path: String, input: FileIdentity) throws(TransferError) {
        self.path = path
        let opened: Int32?
        do throws(TransferError) { opened = try LockedFile.open(path) } catch { throw Self.cannotKeep(error) }
        guard let opened else { throw .unusable("another import is at work on \(path)") }
        descriptor = opened
        guard identity != input else { throw .unusable("\(path) is the input: --state names another file") }
    }

    deinit {
        if isEmpty { unlink(path) }
        close(descriptor)
    }

    var identity: FileIdentity? { FileIdentity(of: descriptor) }

    /// What an earlier run left; nil when there is nothing, or it is to be forgotten.
    func read(forgetting: Bool) throws(TransferError) -> ImportState? {
        let text = String(decoding: try content(), as: UTF8.self)
        isEmpty = text.isEmpty
        if isEmpty { return nil }
        guard ImportState.isOne(text) else { throw foreign }
        if forgetting { return nil }
        guard let state = ImportState(text: text) else {
            throw .unusable("\(path) is no state of an import that this version knows; --restart begins anew")
        }
        return state
    }

    private func content() throws(TransferError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw .system("cannot read \(path): \(describeErrno(errno))") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= Self.byteCountMax else { throw foreign }
        }
    }

    private var foreign: TransferError {
        .unusable("\(path) is not the state of an import: --state names another file, or remove it yourself")
    }

    /// The state is on disk when this returns.
    func write(_ state: ImportState) throws(TransferError) {
        do throws(TransferError) {
            let draft = try Draft.make(of: path, ending: "new", mode: 0o644)
            do throws(TransferError) {
                try write(state.text, to: draft.descriptor)
                try draft.publish()
            } catch {
                close(draft.descriptor)
                draft.discard()
                throw error
            }
            close(descriptor)
            descriptor = draft.descriptor
            isEmpty = false
        } catch {
            throw Self.cannotKeep(error)
        }
    }

    private func write(_ text: String, to draft: Int32) throws(TransferError) {
        var text = text
        let isWritten = text.withUTF8 { Glibc.write(draft, $0.baseAddress, $0.count) == $0.count }
        guard isWritten, fdatasync(draft) == 0, flock(draft, LOCK_EX | LOCK_NB) == 0 else {
            throw .system("cannot write \(path): \(describeErrno(errno))")
        }
    }

    private static func cannotKeep(_ error: TransferError) -> TransferError {
        .system("the position cannot be kept: \(error.description); --state names another place, --no-state keeps none")
    }

    /// The import is done.
    func remove() {
        unlink(path)
        isEmpty = false
    }
}
