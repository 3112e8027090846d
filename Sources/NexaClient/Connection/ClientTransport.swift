import NIOCore

/// Puts something between the socket and the protocol: TLS. A protocol of its own, so that who needs no TLS builds none.
public protocol ClientTransport: Sendable {
    /// Adds the handlers to a channel that is about to connect to `host`. Called on the channel's loop.
    func install(on channel: any Channel, settings: TLSSettings, host: String) throws
}
