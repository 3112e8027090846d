// Who wants to know that the log moved. The list is immutable and replaced under a lock, so a notification copies one
// reference and calls outside the lock.

/// Identifies an observer, for `Engine.removeDurabilityObserver`.
package struct ObserverToken: Sendable, Hashable {
    let id: UInt64
}

/// The observers of one log.
final class DurabilityObservers: Sendable {
    typealias Body = @Sendable (LSN, StorageError?) -> Void
    private let lock = NexaLock()
    nonisolated(unsafe) private var list: [(token: ObserverToken, body: Body)] = []
    nonisolated(unsafe) private var nextID: UInt64 = 1

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

    func notify(_ lsn: LSN, _ error: StorageError?) {
        let observers = lock.withLock { list }
        for observer in observers { observer.body(lsn, error) }
    }
}
