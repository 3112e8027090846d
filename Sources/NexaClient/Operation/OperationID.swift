import NexaWire
import Synchronization

/// Names one write for good, so that a node does it once however often it is sent: 16 random bytes of the client, then a counter.
package struct OperationID: Sendable, Hashable {
    package static let byteCount = 24
    package var client: (UInt64, UInt64)
    package var number: UInt64

    package static func == (a: OperationID, b: OperationID) -> Bool {
        a.client.0 == b.client.0 && a.client.1 == b.client.1 && a.number == b.number
    }
    package func hash(into hasher: inout Hasher) {
        hasher.combine(client.0)
        hasher.combine(client.1)
        hasher.combine(number)
    }

    package func write(into output: OutputBytes) {
        output.appendU8(0xC4)
        output.appendU8(UInt8(Self.byteCount))
        output.appendBE(client.0)
        output.appendBE(client.1)
        output.appendBE(number)
    }
}

/// Gives every write of a client its id.
package final class OperationIDSource: Sendable {
    private let client: (UInt64, UInt64)
    private let counter = Atomic<UInt64>(0)

    package init() {
        var generator = SystemRandomNumberGenerator()
        client = (generator.next(), generator.next())
    }

    package func next() -> OperationID {
        OperationID(client: client, number: counter.add(1, ordering: .relaxed).newValue)
    }
}
