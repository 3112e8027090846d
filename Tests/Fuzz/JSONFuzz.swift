// The JSON parser on arbitrary text: what it accepts is valid MessagePack whose JSON text means the same again.

import NexaWire

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: data, count: count)
    guard let once = try? JSONParser.parse(input) else { return 0 }
    let text = once.withUnsafeBytes { bytes in
        precondition(payloadIsValid(bytes))
        return try? JSONText.write(bytes)
    }
    guard let text else { preconditionFailure("what the parser makes can be written") }
    let again = text.withUnsafeBytes { try? JSONParser.parse($0) }
    precondition(again == once)
    return 0
}
