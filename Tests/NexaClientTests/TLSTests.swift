import Foundation
import NexaClient
import NexaClientTLS
import Testing

/// The client against a node that speaks TLS alone. Certificates are made for the test, and go with it.
@Suite(.timeLimit(.minutes(1))) struct TLSTests {
    @Test func aNodeWithATrustedCertificateIsTalkedToAndNoOther() async throws {
        let directory = temporaryDirectory()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { remove(directory) }
        for name in ["node", "other"] {
            try Self.openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=\(name)",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "\(directory)/\(name).key", "-out",
                "\(directory)/\(name).pem")
        }
        let node = try NodeProcess(arguments: ["--tls-cert", "\(directory)/node.pem", "--tls-key", "\(directory)/node.key"])
        defer { node.remove() }
        func client(_ address: String) throws -> NexaClient {
            try NexaClient(address) { $0.transport = NexaTLSTransport() }
        }

        try await node.waitUntilListening()
        let trusted = try client("nexadbs://127.0.0.1:\(node.port)/?tlsCAFile=\(directory)/node.pem")
        defer { trusted.close() }
        let made = try await trusted.create("c", ["_id": "k", "text": .string(String(repeating: "x", count: 300_000))])
        #expect(try await trusted.get("c", "k") == made)

        let stranger = try client(
            "nexadbs://127.0.0.1:\(node.port)/?tlsCAFile=\(directory)/other.pem&serverSelectionTimeoutMS=1500")
        defer { stranger.close() }
        #expect(await failure { _ = try await stranger.get("c", "k") }?.kind == .serverSelection)

        let plain = try NexaClient("nexadb://127.0.0.1:\(node.port)/?serverSelectionTimeoutMS=1500")
        defer { plain.close() }
        #expect(await failure { _ = try await plain.get("c", "k") } != nil)
    }

    @Test func anAddressWithTLSNeedsATransport() throws {
        #expect(throws: NexaError.self) { try NexaClient("nexadbs://localhost") }
    }

    private static func openssl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "openssl is needed to make certificates")
    }
}
