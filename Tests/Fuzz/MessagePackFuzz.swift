// The Swift reader and tree against the C scanner: what validates decodes, and encodes to bytes that are stable from then on.

import NexaWire

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMessagePack(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: data, count: count)
    let status = validate(input)
    precondition(status.isValid == payloadIsValid(input))
    precondition(status.path.unicodeScalars.count <= 203)
    let value = try? MessagePackValue(decoding: input)
    if status.isValid {
        precondition(value != nil, "what validates decodes")
    }
    if let value {
        let once = value.encoded()
        let again = try? MessagePackValue(decoding: once)
        precondition(again?.encoded() == once)
        precondition(once.count <= count, "shortest forms")
        let text = JSONText.write(value, indent: 1)
        if status.isValid { precondition(!text.isEmpty) }
    }
    return 0
}
