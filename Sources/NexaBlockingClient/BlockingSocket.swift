import Glibc
import NexaTLS

/// A TCP stream with blocking calls that have time limits.
///
/// Invariant: the descriptor is non-blocking throughout; waiting happens in poll(2) only, so no call outlives its deadline. The
/// socket owns the descriptor until `releaseDescriptor` hands it to somebody else. Confined to one thread.
package final class BlockingSocket {
    private var descriptor: Int32
    package let endpoint: Endpoint

    private init(descriptor: Int32, endpoint: Endpoint) {
        self.descriptor = descriptor
        self.endpoint = endpoint
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Connects with TLS; what lies behind it is a descriptor like any other.
    package static func connect(to endpoint: Endpoint, tls: ClientTLS, timeout: Duration) throws(ClientError) -> BlockingSocket {
        do throws(TLSFailure) {
            let descriptor = try TLSBridge.connect(host: endpoint.host, port: Int(endpoint.port), tls: tls, timeout: timeout)
            return BlockingSocket(descriptor: descriptor, endpoint: endpoint)
        } catch {
            throw .cannotConnect(endpoint, reason: error.description)
        }
    }

    /// Connects to the first address of the host that accepts, with small packets sent at once (TCP_NODELAY).
    package static func connect(to endpoint: Endpoint, timeout: Duration) throws(ClientError) -> BlockingSocket {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(endpoint.host, String(endpoint.port), &hints, &list)
        guard status == 0 else {
            throw .cannotConnect(endpoint, reason: String(cString: gai_strerror(status)))
        }
        defer { freeaddrinfo(list) }
        let deadline = ContinuousClock.now + timeout
        var reason = "no address"
        var next = list
        while let address = next {
            next = address.pointee.ai_next
            let descriptor = socket(
                address.pointee.ai_family, address.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
            guard descriptor >= 0 else {
                reason = ClientError.text(of: errno)
                continue
            }
            let candidate = BlockingSocket(descriptor: descriptor, endpoint: endpoint)
            if let failure = candidate.finishConnecting(address.pointee, deadline: deadline) {
                reason = failure
            } else {
                var yes: Int32 = 1
                setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
                return candidate
            }
        }
        throw .cannotConnect(endpoint, reason: reason)
    }

    /// Nil on success, otherwise why not.
    private func finishConnecting(_ address: addrinfo, deadline: ContinuousClock.Instant) -> String? {
        if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return nil }
        guard errno == EINPROGRESS else { return ClientError.text(of: errno) }
        guard wait(for: POLLOUT, until: deadline) == .ready else { return "no answer within the time limit" }
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length)
        return failure == 0 ? nil : ClientError.text(of: failure)
    }

    /// Sends all bytes or throws.
    package func sendAll(_ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant) throws(ClientError) {
        var sent = 0
        while sent < bytes.count {
            let count = send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            if count >= 0 {
                sent += count
            } else if errno == EAGAIN {
                guard wait(for: POLLOUT, until: deadline) == .ready else { throw .timedOut(operation: "sending a request") }
            } else if errno != EINTR {
                throw .disconnected(operation: "sending a request", reason: ClientError.text(of: errno))
            }
        }
    }

    /// Reads what is there into `buffer`, at least one byte; 0 when the other side has closed. Nil when `interrupt` became readable
    /// before anything came.
    package func receive(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: ContinuousClock.Instant, interrupt: Int32? = nil
    ) throws(ClientError) -> Int? {
        while true {
            let count = recv(descriptor, buffer.baseAddress!, buffer.count, 0)
            if count >= 0 { return count }
            if errno == EAGAIN {
                switch wait(for: POLLIN, until: deadline, interrupt: interrupt) {
                case .ready: continue
                case .interrupted: return nil
                case .late: throw .timedOut(operation: "waiting for an answer")
                }
            } else if errno != EINTR {
                throw .disconnected(operation: "waiting for an answer", reason: ClientError.text(of: errno))
            }
        }
    }

    /// Gives up ownership: the caller closes the (non-blocking) descriptor.
    package func releaseDescriptor() -> Int32 {
        defer { descriptor = -1 }
        return descriptor
    }

    private enum Waited { case ready, interrupted, late }

    private func wait(for events: Int32, until deadline: ContinuousClock.Instant, interrupt: Int32? = nil) -> Waited {
        while true {
            let left = deadline - ContinuousClock.now
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            // poll(2) passes over negative descriptors.
            var entries = (
                pollfd(fd: descriptor, events: Int16(events), revents: 0),
                pollfd(fd: interrupt ?? -1, events: Int16(POLLIN), revents: 0)
            )
            let ready = withUnsafeMutablePointer(to: &entries) { pair in
                pair.withMemoryRebound(to: pollfd.self, capacity: 2) { poll($0, 2, Int32(clamping: max(0, milliseconds))) }
            }
            if entries.1.revents != 0 { return .interrupted }
            if ready > 0 { return .ready }
            if ready == 0 && milliseconds <= 0 { return .late }
        }
    }
}
