/// The door: whether a node asks for a log-in, who gets in, and how fast somebody may try.
///
///     CONNECT ─► (event loop) credentials ─► (log-in thread) throttle ─► memory ─► Argon2id ─► (event loop) CONNECT again, as a user
///
/// Passwords are looked at on threads of their own, at most one for every two cores, so that a flood of log-ins costs neither the event
/// loops nor the scans. Sendable: the tables stand behind one lock, under which nothing is hashed.

import Logging
import NexaDocuments
import NexaStorage
import NexaWire
import Synchronization

/// Whether a node asks its clients to log in.
package enum AuthenticationMode: String, CaseIterable, Sendable {
    /// As soon as there is a user.
    case auto
    /// Always: before the first user is made nobody gets in.
    case on
    /// Never.
    case off
}

package final class Authenticator: Sendable {
    package enum Verdict: Sendable {
        case accepted(Principal)
        /// Asked again at a time of `MonotonicTime`.
        case wait(until: UInt64)
        case refused(DocumentError)
    }

    package let mode: AuthenticationMode
    private let catalog: Catalog
    private let logger: Logger
    private let threads: WorkPool<Void>
    private let memoryKey = LoginMemory.Key()
    private let tables = NexaLock()
    nonisolated(unsafe) private var throttle = LoginThrottle()  // guarded by `tables`
    nonisolated(unsafe) private var memory = LoginMemory()  // guarded by `tables`
    private let counts = Counts()

    /// Log-ins of this process, for `/metrics`.
    package struct Figures: Sendable {
        package var succeeded = 0
        package var failed = 0
        package var delayed = 0
    }

    private struct Counts: ~Copyable, Sendable {
        let succeeded = Atomic<Int>(0)
        let failed = Atomic<Int>(0)
        let delayed = Atomic<Int>(0)
    }

    package init(mode: AuthenticationMode, catalog: Catalog, logger: Logger, threadCount: Int) {
        self.mode = mode
        self.catalog = catalog
        self.logger = logger
        threads = WorkPool(threadCount: threadCount, capacity: 4_096) {}
    }

    /// Ends the threads.
    package func stop() { threads.stop() }

    // MARK: Sessions

    /// Whether a client has to log in now.
    package var isRequired: Bool {
        switch mode {
        case .off: false
        case .on: true
        case .auto: !catalog.view.users.isEmpty
        }
    }

    /// Brings a session up to the accounts of now.
    func refresh(_ session: inout Session) {
        // Read first: a change in between is seen at the next request.
        session.usersVersion = catalog.usersVersion
        let users = catalog.view.users
        session.principal = session.principal?.renewed(in: users)
        let isOpen = mode == .off || (mode == .auto && users.isEmpty)
        session.isUnlimited = isOpen || session.principal?.user.role == .admin
    }

    /// Whether a connection that logged in as `principal`, or as nobody when nobody had to, may go on as a node's.
    func stillReplicates(_ principal: Principal?) -> Bool {
        guard isRequired else { return true }
        let user = principal?.renewed(in: catalog.view.users)?.user
        return Authorization.decide(user, .replHello, needs: MessageType.replHello.need, in: .node) == .allowed
    }

    /// Whether these credentials have to be looked at. Where nobody has to log in, existing clients send some that nobody has set;
    /// those of a user that exists are checked all the same.
    func checks(_ credentials: Credentials) -> Bool {
        if isRequired { return true }
        if case .password(let name, _) = credentials { return catalog.view.users[name] != nil }
        return false
    }

    // MARK: Log-in

    /// Looks at credentials and calls `done` on a log-in thread. False when too many wait already.
    func verify(
        _ credentials: Credentials, address: [UInt8], _ done: @escaping @Sendable (Verdict) -> Void
    ) -> Bool {
        threads.submit { [self] _ in done(verify(credentials, address: address)) }
    }

    package func verify(_ credentials: Credentials, address: [UInt8]) -> Verdict {
        let user = credentials.claimedUser
        let now = MonotonicTime.nanoseconds()
        switch tables.withLock({ throttle.admit(user: user, address: address, now: now) }) {
        case .now: break
        case .wait(let until):
            counts.delayed.wrappingAdd(1, ordering: .relaxed)
            return .wait(until: until)
        case .refuse(let milliseconds):
            counts.delayed.wrappingAdd(1, ordering: .relaxed)
            return .refused(
                DocumentError(
                    .overloaded, "Too many failed log-ins: try again later",
                    details: [.init("retryable", .bool(true)), .init("retry_after_ms", .uint(milliseconds))]))
        }
        let principal = find(credentials)
        let end = MonotonicTime.nanoseconds()
        guard let principal else {
            counts.failed.wrappingAdd(1, ordering: .relaxed)
            tables.withLock { throttle.failed(user: user, address: address, now: end) }
            logger.warning("log-in failed", metadata: ["user": "\(user.prefix(120))", "address": "\(Self.text(address))"])
            return .refused(DocumentError(.unauthenticated, "Invalid username or password"))
        }
        counts.succeeded.wrappingAdd(1, ordering: .relaxed)
        tables.withLock { throttle.succeeded(user: user, address: address, now: end) }
        return .accepted(principal)
    }

    private func find(_ credentials: Credentials) -> Principal? {
        let users = catalog.view.users
        switch credentials {
        case .apiKey(let text):
            return APIKey(parsing: text).flatMap { users.user(withKeyHash: $0.hash) }.map { Principal($0, usesKey: true) }
        case .password(let name, let password):
            guard PasswordHash.passwordByteCounts.contains(password.count) else { return nil }
            let token = memoryKey.token(name, password)
            guard let user = users[name], let hash = PasswordHash(parsing: user.passwordHash) else {
                // As long as for a user that exists, so that the time does not tell.
                PasswordHash.spend(on: password)
                return nil
            }
            if tables.withLock({ memory.remembers(token, of: name, passwordHash: user.passwordHash) }) {
                return Principal(user, usesKey: false)
            }
            guard hash.matches(password) else { return nil }
            tables.withLock { memory.remember(token, of: name, passwordHash: user.passwordHash) }
            return Principal(user, usesKey: false)
        }
    }

    package var figures: Figures {
        Figures(
            succeeded: counts.succeeded.load(ordering: .relaxed), failed: counts.failed.load(ordering: .relaxed),
            delayed: counts.delayed.load(ordering: .relaxed))
    }

    private static func text(_ address: [UInt8]) -> String {
        guard address.count == 4 else {
            return address.map { String($0, radix: 16) }.joined(separator: ":")
        }
        return address.map { "\($0)" }.joined(separator: ".")
    }
}
