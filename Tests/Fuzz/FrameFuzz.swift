// The frame parser and the inflater: a stream gives the same frames whole and in pieces, and no step uses more than there is.

import NexaWire

private struct Summary: Equatable {
    var type: UInt8
    var byteCount: Int
    var wasServed: Bool
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFrames(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: data, count: count)
    let parser = FrameParser(payloadByteCountMax: 1 << 16, acceptedFlags: .known)
    let inflater = FrameInflater(keptByteCountMax: 4096)

    // All at once.
    var whole: [Summary] = []
    var offset = 0
    walk: while true {
        switch parser.step(UnsafeRawBufferPointer(rebasing: input[offset...])) {
        case .needMoreBytes(let needed):
            precondition(needed > count - offset && needed <= FrameHeader.byteCount + 1 << 16)
            break walk
        case .failed: break walk
        case .rejected(let rejection):
            whole.append(Summary(type: rejection.header.type, byteCount: rejection.byteCount, wasServed: false))
            offset += rejection.byteCount
        case .frame(let frame):
            if let payload = try? inflater.payload(of: frame) {
                precondition(payload.count == frame.inflatedByteCount ?? frame.payload.count)
                precondition(payload.count <= 1 << 16)
                _ = payloadIsValid(payload)
            }
            whole.append(Summary(type: frame.header.type, byteCount: frame.byteCount, wasServed: true))
            offset += frame.byteCount
        }
        precondition(offset <= count)
    }

    // A byte more each time.
    var pieces: [Summary] = []
    var start = 0
    for end in 0...count where end >= start {
        guard start < offset else { break }
        switch parser.step(UnsafeRawBufferPointer(rebasing: input[start..<end])) {
        case .needMoreBytes: continue
        case .failed: preconditionFailure("a stream that parses whole failed in pieces")
        case .rejected(let rejection):
            pieces.append(Summary(type: rejection.header.type, byteCount: rejection.byteCount, wasServed: false))
            start += rejection.byteCount
        case .frame(let frame):
            pieces.append(Summary(type: frame.header.type, byteCount: frame.byteCount, wasServed: true))
            start += frame.byteCount
        }
    }
    precondition(whole == pieces)
    return 0
}
