/// A request to the node while it is put together: one frame whose payload is a map, written once, in place. JSON of the client becomes
/// MessagePack inside it; nothing is decoded into values.

import NexaWire

struct NodeRequest: ~Copyable {
    let output: OutputBytes
    private let mark: FrameMark
    private var count: UInt16 = 0

    /// Every answer tells its position.
    init(_ type: MessageType, capacity: Int = 256) {
        output = OutputBytes(capacity: capacity)
        mark = output.beginFrame(type, flags: .token)
        // A map of a two-byte count, which is known at the end.
        output.appendU8(0xDE)
        output.appendBE(UInt16(0))
    }

    /// Writes a name; the value follows.
    private mutating func name(_ name: StaticString) {
        count += 1
        output.writeString(name)
    }

    mutating func add(_ field: StaticString, _ value: String) {
        name(field)
        output.writeString(value)
    }

    mutating func add(_ field: StaticString, optional value: String?) {
        if let value { add(field, value) }
    }

    mutating func add(_ field: StaticString, _ value: Int) {
        name(field)
        output.writeInt(value)
    }

    mutating func add(_ field: StaticString, _ value: UInt64) {
        name(field)
        output.writeUInt(value)
    }

    mutating func add(_ field: StaticString, _ value: Bool) {
        name(field)
        output.writeBool(value)
    }

    /// A value that is MessagePack already.
    mutating func add(_ field: StaticString, raw value: UnsafeRawBufferPointer) {
        name(field)
        output.writeRaw(value)
    }

    mutating func add(_ field: StaticString, binary value: [UInt8]) {
        name(field)
        value.withUnsafeBytes { output.writeBin($0) }
    }

    /// What `body` writes, one value.
    mutating func add<Failure: Error>(_ field: StaticString, _ body: (OutputBytes) throws(Failure) -> Void) throws(Failure) {
        name(field)
        try body(output)
    }

    /// The whole frame.
    consuming func frame() -> OutputBytes {
        output.storeBE(count, at: mark.payloadOffset + 1)
        output.endFrame(mark)
        return output
    }
}
