// Log records, file headers and manifest edits from arbitrary bytes: as they are, and with their checksums made right, so that what lies
// behind the checksums is reached. Whatever is accepted lies within the bytes and means the same when it is written again.

import CSupport
import NexaStorage

private let fileID: UInt64 = 7
private let offset: UInt64 = 4096

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLogRecord(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: data, count: count)
    checkRecord(input)
    checkEdit(input)
    _ = LogFileHeader.decode(input, kind: .segment, fileID: fileID)
    _ = LogFileHeader.decode(input, kind: .manifest, fileID: fileID)
    guard count >= RecordHeader.byteCount else { return 0 }

    var repaired = Array(input)
    repaired.withUnsafeMutableBytes { bytes in
        let start = bytes.baseAddress!
        let room = bytes.count - RecordHeader.byteCount
        let stored = min(Int(ByteOrder.loadLE(start, at: 40, as: UInt32.self)), room)
        let payload = UnsafeRawBufferPointer(rebasing: bytes[RecordHeader.byteCount..<RecordHeader.byteCount + stored])
        ByteOrder.storeLE(nexa_xxh3(start + 24, 32, RecordHeader.payloadHash(payload)), to: start, at: 16)
        let seed = (fileID &* 0x9E37_79B9_7F4A_7C15) ^ offset
        ByteOrder.storeLE(nexa_xxh3(start + 8, RecordHeader.byteCount - 8, seed), to: start, at: 0)
    }
    repaired.withUnsafeBytes(checkRecord)
    if count >= LogFileHeader.byteCount {
        repaired = Array(input)
        repaired.withUnsafeMutableBytes { bytes in
            ByteOrder.storeLE(nexa_xxh3(bytes.baseAddress!, 120, 0), to: bytes.baseAddress!, at: 120)
        }
        _ = repaired.withUnsafeBytes { LogFileHeader.decode($0, kind: .segment, fileID: fileID) }
    }
    return 0
}

private func checkRecord(_ bytes: UnsafeRawBufferPointer) {
    switch LogRecordDecoder.decode(bytes, fileID: fileID, offset: offset) {
    case .record(let header), .unsupported(let header, _):
        precondition(header.recordByteCount <= bytes.count)
        precondition(header.durableLSN <= header.lsn)
        let payload = UnsafeRawBufferPointer(
            rebasing: bytes[RecordHeader.byteCount..<RecordHeader.byteCount + Int(header.storedByteCount)])
        checkEdit(payload)
        // A small raw length keeps the fuzzer's memory limit; larger ones are bounded by the format.
        if header.rawByteCount < 1 << 20 {
            let expanded = PayloadExpander().expand(payload, header)
            precondition(expanded.map { $0.count == Int(header.rawByteCount) } ?? true)
        }
    case .needsBytes(let header, let needed):
        precondition(needed > bytes.count && needed == header.recordByteCount)
        precondition(needed <= RecordHeader.byteCount + RecordHeader.storedByteCountMax + RecordHeader.alignment)
    case .fault: break
    }
}

private func checkEdit(_ bytes: UnsafeRawBufferPointer) {
    for fieldCount in 0...4 {
        guard case .edit(let edit) = VersionEdit.decode(bytes, fieldCount: fieldCount) else { continue }
        let (again, count) = edit.encoded()
        precondition(again.withUnsafeBytes { VersionEdit.decode($0, fieldCount: count) } == .edit(edit))
        var state = ManifestState()
        if state.contradiction(of: edit) == nil { state.apply(edit) }
    }
}
