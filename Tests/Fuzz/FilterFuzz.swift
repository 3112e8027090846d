// The filter compiler on arbitrary bytes, and what it compiles on arbitrary documents. A key that matches lies within the key range.

import NexaDocuments
import NexaWire

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFilter(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let input = UnsafeRawBufferPointer(start: data, count: count)
    let cut = 1 + Int(input[0]) * (count - 1) / 255
    let filter = UnsafeRawBufferPointer(rebasing: input[1..<cut])
    let document = UnsafeRawBufferPointer(rebasing: input[cut...])
    let compiled: CompiledFilter
    do throws(DocumentError) {
        compiled = try CompiledFilter.compile(filter)
    } catch {
        precondition(error.code == .badFilter || error.code == .badPayload)
        precondition(!error.message.isEmpty)
        return 0
    }
    let isMatch = compiled.matches(document)
    if compiled.matchesEverything { precondition(isMatch || !payloadIsValid(document)) }
    guard isMatch, payloadIsValid(document), let id = findValue("_id", in: document) else { return 0 }
    var reader = MessagePackReader(id)
    if let key = try? reader.readStringBytes() {
        precondition(compiled.keyRange.contains([UInt8](key)))
        if let keys = compiled.keyRange.exactKeys { precondition(keys.contains([UInt8](key))) }
    }
    return 0
}
