// Who wants to know that the log moved, or what a leader's log brought. The list is immutable and replaced under a lock, so a
// notification copies one reference and calls outside the lock.

/// Identifies an observer, to remove it.
package struct ObserverToken: Sendable, Hashable {
    let id: UInt64
}

/// The observers of one kind of event: each is told a position and what belongs to it.
final class LogObservers<Detail>: Sendable {
    typealias Body = @Sendable (LSN, Detail) -> Void
    private let lock = NexaLock()
    nonisolated(unsafe) private var list: [(token: ObserverToken, body: Body)] = []  // guarded by `lock`
    nonisolated(unsafe) private var nextID: UInt64 = 1  // guarded by `lock`

    func add(_ body: @escaping Body) -> ObserverToken {
        lock.withLock {
            let token = ObserverToken(id: nextID)
            nextID += 1
            list.append((token, body))
            return token
        }
    }

    func remove(_ token: ObserverToken) {
        lock.withLock { list.removeAll { $0.token == token } }
    }

    func notify(_ lsn: LSN, _ detail: Detail) {
        let observers = lock.withLock { list }
        for observer in observers { observer.body(lsn, detail) }
    }
}
