// Messages between nodes: any bytes under any type are a message within its limits or an error, and a message that was understood is written
// and read again as the same.

import NexaReplication
import NexaWire

private let types: [MessageType] = MessageType.allCases.filter { $0.rawValue & 0x60 == 0x60 }

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzReplication(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let type = types[Int(data[0]) % types.count]
    let payload = UnsafeRawBufferPointer(start: data + 1, count: count - 1)
    _ = try? BatchHeader.decode(payload)
    _ = try? ChunkHeader.decode(payload)
    guard let message = try? ReplicationMessage(type, decoding: payload) else { return 0 }
    let output = OutputBytes(capacity: 256)
    message.encode(into: output)
    precondition((try? ReplicationMessage(type, decoding: output.bytes)) == message)
    return 0
}
