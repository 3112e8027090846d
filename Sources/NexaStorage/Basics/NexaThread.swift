import CSupport
import Glibc

/// A joinable system thread for work that blocks. The control plane has few of them, each with a name that shows in `top -H`.
///
/// `@unchecked Sendable`: the handle is written once in `init`; `join` is called once, by the owner.
package final class NexaThread: @unchecked Sendable {
    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    private var handle = pthread_t()

    /// Starts a thread. `name` has at most 15 bytes: that is what the system keeps.
    package init(name: String, _ run: @escaping @Sendable () -> Void) {
        precondition(name.utf8.count <= 15, "thread names have at most 15 bytes")
        let body = Unmanaged.passRetained(Body(name: name, run: run))
        let status = pthread_create(
            &handle, nil,
            { argument in
                let body = Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
                nexa_os_name_thread(body.name)
                body.run()
                return nil
            }, body.toOpaque())
        precondition(status == 0, "pthread_create failed with \(status)")
    }

    /// Waits until the thread has returned. Exactly once.
    package func join() {
        let status = pthread_join(handle, nil)
        precondition(status == 0, "pthread_join failed with \(status)")
    }
}
