import Glibc
import NexaStorage

/// A file that is not whole yet: it stands beside its target, under a name that nobody had, and takes the target's place when it is.
struct Draft {
    private static let tryCountMax = 100

    let path: String
    let target: String
    /// Open for writing. Whoever made the draft closes it.
    let descriptor: Int32

    static func make(of target: String, ending: String, mode: mode_t) throws(TransferError) -> Draft {
        for _ in 0..<tryCountMax {
            let path = "\(target).\(String(UInt32.random(in: .min ... .max), radix: 16)).\(ending)"
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
            if descriptor >= 0 { return Draft(path: path, target: target, descriptor: descriptor) }
            guard errno == EEXIST else { break }
        }
        throw .system("cannot write \(target): \(describeErrno(errno))")
    }

    /// Takes the target's place, durably. Its bytes are on disk already.
    func publish() throws(TransferError) {
        guard rename(path, target) == 0 else { throw .system("cannot write \(target): \(describeErrno(errno))") }
        try LockedFile.syncName(target)
    }

    func discard() { unlink(path) }
}
