import Glibc
import NexaStorage

/// SIGINT, SIGTERM and SIGHUP, noted instead of ending the process, so that it can put away first what it made. Whoever catches one of them
/// later takes it over.
///
/// By handlers and a pipe, not by masks: commands do not run on the process's first thread, and masks are a thread's. One a process.
struct HeldSignals {
    /// Set before the first handler can run.
    nonisolated(unsafe) private static var inlet: Int32 = -1
    private let outlet: Int32

    init() {
        precondition(Self.inlet < 0, "signals are held once")
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "the system has no descriptor left")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (outlet, Self.inlet) = (ends[0], ends[1])
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { number in
                let kept = errno
                var byte = UInt8(truncatingIfNeeded: number)
                write(HeldSignals.inlet, &byte, 1)
                errno = kept
            }
        }
    }

    /// One that came, or comes in that time.
    func next(withinMilliseconds milliseconds: Int32) -> Int32? {
        var waiting = pollfd(fd: outlet, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) > 0 ? take() : nil
    }

    /// From now on each of them, on a thread of its own, puts away what there is and ends the process.
    func end(after putAway: @escaping @Sendable () -> Void) {
        let signals = self
        _ = NexaThread(name: "nexa-end") {
            var number: Int32?
            while number == nil { number = signals.take() }
            putAway()
            Self.end(by: number!)
        }
    }

    private func take() -> Int32? {
        var byte: UInt8 = 0
        return read(outlet, &byte, 1) == 1 ? Int32(byte) : nil
    }

    /// Ends the process as the signal does by itself.
    static func end(by number: Int32) -> Never {
        signal(number, SIG_DFL)
        // The threads on which commands run hear no signals.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, number)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        raise(number)
        exit(128 + number)
    }
}
