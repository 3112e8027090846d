/// What a TLS client says first, to a port that does not speak TLS: it cannot read our answer, but whoever looks at the bytes, or at this
/// node's log of errors, finds the reason.

import NexaWire

enum TLSHello {
    /// A handshake record of any version: 16 03 xx.
    static func begins(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.count >= 2 && bytes[0] == 0x16 && bytes[1] == 0x03 }

    static let refusal = WireError(
        .badFrame, "This port does not speak TLS: connect with nexadb://, or start the node with --tls-cert")
}
