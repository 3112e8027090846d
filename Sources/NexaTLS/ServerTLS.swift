/// The server's side of TLS: version 1.3 alone, a certificate, and, where an authority for clients is named, certificates of theirs.
///
/// Sendable: the context stands behind a lock and is replaced as a whole; connections that are open keep the one they began with.

import NIOConcurrencyHelpers
import NIOCore
import NIOSSL
import NIOTLS

package final class ServerTLS: Sendable {
    /// Paths of PEM files.
    package struct Files: Equatable, Sendable {
        package var certificate: String
        package var key: String
        /// Who signs clients' certificates; nil: none is asked for.
        package var clientAuthority: String?

        package init(certificate: String, key: String, clientAuthority: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.clientAuthority = clientAuthority
        }
    }

    private let files: Files
    private let context: NIOLockedValueBox<NIOSSLContext>

    package init(_ files: Files) throws(TLSFailure) {
        self.files = files
        context = NIOLockedValueBox(try Self.load(files))
    }

    /// Reads the files again; connections from now on use what is in them. Nothing changes when they make no sense.
    package func reload() throws(TLSFailure) {
        let fresh = try Self.load(files)
        context.withLockedValue { $0 = fresh }
    }

    /// The first handlers of a connection that was accepted: TLS, and in front of it a look at whether it is TLS at all.
    package func addHandlers(to channel: any Channel, plaintext: PlaintextGuard) throws {
        try channel.pipeline.syncOperations.addHandlers([
            plaintext, NIOSSLServerHandler(context: context.withLockedValue { $0 }),
        ])
    }

    private static func load(_ files: Files) throws(TLSFailure) -> NIOSSLContext {
        let chain = try PEMFile.certificates(files.certificate, setting: "tls-cert")
        let key = try PEMFile.privateKey(files.key, setting: "tls-key")
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv13
        if let path = files.clientAuthority {
            configuration.trustRoots = .certificates(try PEMFile.certificates(path, setting: "tls-ca"))
            configuration.certificateVerification = .noHostnameVerification
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSFailure("tls-cert and tls-key do not fit together: \(error)")
        }
    }
}

/// Whether an event of a channel says that its handshake is done.
package func isHandshakeCompleted(_ event: Any) -> Bool {
    if case .some(.handshakeCompleted) = event as? TLSUserEvent { true } else { false }
}
