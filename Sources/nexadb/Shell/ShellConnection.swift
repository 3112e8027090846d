import NexaBlockingClient

/// The connection that statements run on. One that was lost is opened again for the next statement.
final class ShellConnection {
    private let target: ShellTarget
    private var current: ClientConnection
    private var interruption: Interruption?

    init(_ target: ShellTarget) throws(ClientError) {
        self.target = target
        current = try target.connect()
    }

    /// The connection, which is usable as far as is known.
    func usable() throws(ClientError) -> ClientConnection {
        if current.isBroken {
            current = try target.connect()
            current.interruption = interruption
        }
        return current
    }

    /// From now on requests can be taken back.
    func heed(_ interruption: Interruption) {
        self.interruption = interruption
        current.interruption = interruption
    }
}
