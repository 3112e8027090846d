import NIOSSL

/// Why TLS cannot be used, as a sentence that names the file or the cause.
package struct TLSFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }

    /// What ended a handshake or a connection, for a log line; nil where the other side merely closed without saying so.
    package static func reason(of error: any Error) -> String? {
        switch error {
        case NIOSSLError.uncleanShutdown: nil
        case NIOSSLError.handshakeFailed(let cause): "\(cause)"
        case let error as NIOSSLError: "\(error)"
        case let error as BoringSSLError: "\(error)"
        default: nil
        }
    }
}

/// Certificates and keys from PEM files.
enum PEMFile {
    static func certificates(_ path: String, setting: String) throws(TLSFailure) -> [NIOSSLCertificate] {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(path)
            guard !chain.isEmpty else { throw TLSFailure("\(setting): there is no certificate in \(path)") }
            return chain
        } catch let failure as TLSFailure {
            throw failure
        } catch {
            throw TLSFailure("\(setting): no certificate can be read from \(path) (PEM is expected): \(error)")
        }
    }

    static func privateKey(_ path: String, setting: String) throws(TLSFailure) -> NIOSSLPrivateKey {
        do {
            return try NIOSSLPrivateKey(file: path, format: .pem)
        } catch {
            throw TLSFailure(
                "\(setting): no private key can be read from \(path) (PEM without a passphrase is expected): \(error)")
        }
    }
}
