// Requests of every type with arbitrary payloads: fields are found or refused, never misread.

import NexaWire

nonisolated(unsafe) private let fields = RequestFields()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequest(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let input = UnsafeRawBufferPointer(start: data, count: count)
    let type = MessageType.allCases[Int(input[0] & 0x7F) % MessageType.allCases.count]
    let payload = UnsafeRawBufferPointer(rebasing: input[1...])
    guard payload.isEmpty || payloadIsValid(payload) else { return 0 }
    do throws(WireError) {
        try fields.parse(payload, type: type, acceptsCompact: input[0] & 0x80 != 0)
    } catch {
        precondition(error.code == .badPayload || error.code == .badRequest)
        return 0
    }
    for field in RequestField.allCases {
        if let raw = fields.raw(field) {
            precondition(fields.has(field) && payloadIsValid(raw))
            precondition(
                raw.baseAddress! >= payload.baseAddress! && raw.baseAddress! + raw.count <= payload.baseAddress! + payload.count)
        }
        _ = try? fields.string(field)
        _ = try? fields.int(field)
        _ = try? fields.double(field)
        _ = try? fields.bool(field)
        _ = try? fields.map(field)
        _ = try? fields.array(field)
    }
    _ = fields.collectionHandle
    return 0
}
