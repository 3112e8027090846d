/// Reads the body of a request, bounded: in size (`max-frame`), seen in Content-Length before a byte is read; in time (`frame-timeout`), so
/// that a client that sends a byte a minute holds nothing for long; and together with all others (`max-buffers`).

import HTTPTypes
import HummingbirdCore
import NIOCore
import NexaServer
import NexaWire
import Synchronization

struct BodyReader {
    private let exchange: Exchange
    private let byteCountMax: Int
    /// What a stranger may send: a name and a password.
    private static let logInByteCountMax = 16 << 10

    init(_ exchange: Exchange) {
        self.exchange = exchange
        let largest = exchange.node.limits.frameByteCountMax
        byteCountMax = exchange.route == .logIn ? min(largest, Self.logInByteCountMax) : largest
    }

    /// Refuses a body that says itself that it is too large.
    func checkLength() throws(Problem) {
        guard !exchange.sendsLines, let text = exchange.request.headers[.contentLength] else { return }
        if Int(text).map({ $0 > byteCountMax }) ?? true { throw tooLarge }
    }

    /// The whole body.
    func all() async throws(Problem) -> ByteBuffer {
        let clock = BodyClock(exchange.channel, milliseconds: exchange.node.limits.frameMilliseconds)
        defer { clock.stop() }
        var account = BodyAccount(exchange.node)
        var whole = ByteBuffer()
        do {
            for try await var part in exchange.request.body {
                let byteCount = whole.readableBytes + part.readableBytes
                guard byteCount <= byteCountMax else { throw tooLarge }
                guard account.grow(to: byteCount) else { throw Self.noRoom }
                if whole.readableBytes == 0 { whole = part } else { whole.writeBuffer(&part) }
            }
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Self.broken(isLate: clock.isOver)
        }
        return whole
    }

    private var tooLarge: Problem {
        var problem = Problem(
            .tooLarge, "The body has at most \(byteCountMax) bytes" + (exchange.route == .logIn ? "" : " (max-frame)"),
            details: [.init("limit", .int(Int64(byteCountMax)))])
        problem.closesConnection = true
        return problem
    }

    private static var noRoom: Problem {
        var problem = Problem(.overloaded, "The node buffers too much for others already (max-buffers)")
        problem.closesConnection = true
        return problem
    }

    static func broken(isLate: Bool) -> Problem {
        var problem =
            isLate
            ? Problem(.requestTimeout, "The body did not arrive whole in time (frame-timeout)")
            : Problem(.badPayload, "The body ends before it is whole")
        problem.closesConnection = true
        return problem
    }
}

/// Fails the input of a connection when the time for a body is over. (Closing it would do the same, but TLS knows no such end.)
final class BodyClock: Sendable {
    private struct Over: Error {}

    private let hasPassed = Atomic<Bool>(false)
    private let eventLoop: any EventLoop
    private let channel: any Channel
    private let milliseconds: UInt64
    private let timer: NIOLoopBoundBox<Scheduled<Void>?>

    var isOver: Bool { hasPassed.load(ordering: .relaxed) }

    init(_ channel: any Channel, milliseconds: UInt64) {
        self.channel = channel
        self.milliseconds = milliseconds
        eventLoop = channel.eventLoop
        timer = .makeEmptyBox(valueType: Scheduled<Void>.self, eventLoop: channel.eventLoop)
        restart()
    }

    /// Gives the client the whole time again: a part of a long body was taken.
    func restart() {
        guard milliseconds > 0 else { return }
        onLoop {
            self.timer.value?.cancel()
            self.timer.value = self.eventLoop.scheduleTask(in: .milliseconds(Int64(self.milliseconds))) {
                self.hasPassed.store(true, ordering: .relaxed)
                self.channel.pipeline.fireErrorCaught(Over())
            }
        }
    }

    func stop() {
        guard milliseconds > 0 else { return }
        onLoop {
            self.timer.value?.cancel()
            self.timer.value = nil
        }
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if eventLoop.inEventLoop { body() } else { eventLoop.execute(body) }
    }
}
