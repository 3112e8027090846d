import Glibc
import NIOCore

/// Two connected descriptors within this process; neither blocks.
struct SocketPair {
    let inner: NIOBSDSocket.Handle
    let outer: NIOBSDSocket.Handle

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0
        else {
            throw IOError(errnoCode: errno, reason: "socketpair")
        }
        (inner, outer) = (ends[0], ends[1])
    }

    func close() {
        Glibc.close(inner)
        Glibc.close(outer)
    }
}
