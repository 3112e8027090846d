/// TLS for the client, a module of its own: who needs none does not build BoringSSL.

import NIOCore
import NexaClient
import NexaTLS

/// TLS 1.3 below the protocol, by swift-nio-ssl. For addresses with `nexadbs://` or `tls=true`:
///
///     let client = try NexaClient("nexadbs://db1/?tlsCAFile=ca.pem") { $0.transport = NexaTLSTransport() }
///
/// The server's certificate is checked against `tlsCAFile` (else against whom the system trusts) and against the host's name or address;
/// a connection that fails the check is not made, and the error of the operation tells why.
public struct NexaTLSTransport: ClientTransport {
    public init() {}

    public func install(on channel: any Channel, settings: TLSSettings, host: String) throws {
        var identity: (certificate: String, key: String)?
        if let certificate = settings.certificateFile, let key = settings.keyFile { identity = (certificate, key) }
        let client = try ClientTLS(authority: settings.authorityFile, identity: identity, isInsecure: settings.isInsecure)
        try client.addHandler(to: channel, host: host)
    }
}
