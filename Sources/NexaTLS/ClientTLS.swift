/// The client's side of TLS: version 1.3 alone, the server's certificate checked against an authority and its name.

import NIOCore
import NIOSSL

package struct ClientTLS: Sendable {
    private let context: NIOSSLContext
    private let checksName: Bool

    /// - Parameters:
    ///   - authority: PEM file of who signs servers' certificates; nil: whom this system trusts.
    ///   - identity: certificate and key of this client, where the server asks for them.
    ///   - isInsecure: takes any certificate. For tests on one machine.
    package init(
        authority: String?, identity: (certificate: String, key: String)? = nil, isInsecure: Bool = false
    ) throws(TLSFailure) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        if let authority {
            configuration.trustRoots = .certificates(try PEMFile.certificates(authority, setting: "TLS authority"))
        }
        if let identity {
            configuration.certificateChain = try PEMFile.certificates(identity.certificate, setting: "TLS certificate")
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try PEMFile.privateKey(identity.key, setting: "TLS key"))
        }
        if isInsecure { configuration.certificateVerification = .none }
        checksName = !isInsecure
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSFailure("TLS cannot be set up: \(error)")
        }
    }

    /// The first handler of a connection to `host`, a name or an address.
    package func addHandler(to channel: any Channel, host: String) throws {
        // An address is checked against the certificate's addresses, and is no name to be sent.
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        try channel.pipeline.syncOperations.addHandler(
            NIOSSLClientHandler(context: context, serverHostname: isAddress || !checksName ? nil : host))
    }
}
