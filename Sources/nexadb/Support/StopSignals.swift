import Glibc
import Synchronization

/// SIGINT and SIGTERM as a wish to end: the first one is noted, a second one ends the process as it always did.
struct StopSignals {
    private static let raised = Atomic<Bool>(false)

    init() {
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                StopSignals.raised.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
    }

    var isRaised: Bool { Self.raised.load(ordering: .relaxed) }
}
