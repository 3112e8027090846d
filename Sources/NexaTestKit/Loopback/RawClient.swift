// A blocking client of a few lines that sends exactly the bytes it is told: for fragments, broken frames and slow reading, which
// a real client does not do. Every wait has a limit, so a test that fails does not hang.

import Glibc
import NexaWire

/// What went wrong below the protocol.
package struct RawClientError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// A frame as it came.
package struct ReceivedFrame {
    package var header: FrameHeader
    package var requestID: UInt32?
    package var token: PositionToken?
    package var payload: [UInt8]

    package var type: MessageType? { MessageType(rawValue: header.type) }

    /// The decoded payload; `.null` if it is not MessagePack.
    package var value: MessagePackValue { (try? MessagePackValue(decoding: payload)) ?? .null }
    package subscript(key: String) -> MessagePackValue? { value[key] }
    /// `code` of an ERROR.
    package var code: String? { value["code"]?.stringValue }
}

/// `@unchecked Sendable`: tests hand it from thread to thread, and one thread uses it at a time.
package final class RawClient: @unchecked Sendable {
    private let descriptor: Int32
    private var input: [UInt8] = []

    /// Connects to 127.0.0.1. A small `receiveByteCount` makes back-pressure show early.
    package init(port: Int, receiveByteCount: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw RawClientError("socket: errno \(errno)") }
        if var count = receiveByteCount {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &count, socklen_t(MemoryLayout<Int32>.size))
        }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            let reason = errno
            Glibc.close(descriptor)
            throw RawClientError("connect to port \(port): errno \(reason)")
        }
        setTimeout(seconds: 10)
    }

    deinit { Glibc.close(descriptor) }

    /// How long one send or receive may take.
    package func setTimeout(seconds: Int) {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    // MARK: Sending

    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw RawClientError("send: errno \(errno)") }
            sent += count
        }
    }

    /// As many bytes as the socket takes without waiting for more than its time limit; answers how many.
    package func sendWhatFits(_ bytes: [UInt8]) -> Int {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { break }
            sent += count
        }
        return sent
    }

    package func send(
        _ type: MessageType, _ payload: MessagePackValue = .map([]), requestID: UInt32? = nil, flags: FrameFlags = []
    ) throws {
        try send(RawClient.frame(type, payload, requestID: requestID, flags: flags))
    }

    /// The bytes of a request.
    package static func frame(
        _ type: MessageType, _ payload: MessagePackValue = .map([]), requestID: UInt32? = nil, flags: FrameFlags = []
    ) -> [UInt8] {
        let output = OutputBytes()
        let mark = output.beginFrame(type, requestID: requestID, flags: flags)
        payload.encode(into: output)
        output.endFrame(mark)
        return Array(output.bytes)
    }

    /// No more requests will come; answers are still taken.
    package func closeSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends the connection with a reset.
    package func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    // MARK: Receiving

    /// The next frame; nil when the server closed the connection between two frames.
    package func receive() throws -> ReceivedFrame? {
        while true {
            if let frame = takeFrame() { return frame }
            guard try fill() else {
                guard input.isEmpty else { throw RawClientError("closed inside a frame") }
                return nil
            }
        }
    }

    /// Sends a request and takes one answer.
    package func call(_ type: MessageType, _ payload: MessagePackValue = .map([])) throws -> ReceivedFrame {
        try send(type, payload)
        guard let frame = try receive() else { throw RawClientError("closed instead of an answer") }
        return frame
    }

    /// Everything until the server closes, as it came.
    package func receiveAll() throws -> [UInt8] {
        while try fill() {}
        defer { input = [] }
        return input
    }

    private func takeFrame() -> ReceivedFrame? {
        let step = input.withUnsafeBytes { bytes -> (ReceivedFrame, Int)? in
            guard case .frame(let frame) = FrameParser(payloadByteCountMax: 1 << 30, acceptedFlags: .known).step(bytes) else {
                return nil
            }
            let received = ReceivedFrame(
                header: frame.header, requestID: frame.requestID, token: frame.token, payload: Array(frame.payload))
            return (received, frame.byteCount)
        }
        guard let step else { return nil }
        input.removeFirst(step.1)
        return step.0
    }

    /// False at the end of the stream.
    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count == 0 || (count < 0 && errno == ECONNRESET) { return false }
        guard count > 0 else { throw RawClientError("receive: errno \(errno) after the time limit") }
        input.append(contentsOf: chunk[..<count])
        return true
    }
}
