/// Sockets between two owners, outside NIO.

import Glibc
import NIOCore

enum DescriptorCloser {
    static func close(_ descriptor: NIOBSDSocket.Handle) { _ = Glibc.close(descriptor) }

    /// A second descriptor of the same socket, which outlives the first.
    static func duplicate(_ descriptor: NIOBSDSocket.Handle) -> NIOBSDSocket.Handle? {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        return copy >= 0 ? copy : nil
    }
}
