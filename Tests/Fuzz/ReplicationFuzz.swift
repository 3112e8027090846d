// What comes from another node, from arbitrary bytes: records as they travel, EPOCH_START payloads, descriptions of checkpoints. As they are,
// and with their checksums made right, so that what lies behind the checksums is reached.

import CSupport
import NexaStorage

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzReplication(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: data, count: count)
    walk(input)
    if let start = EpochStartRecord(input) { precondition(start.byteCount == count) }
    checkManifest(input)

    var repaired = Array(input)
    repaired.withUnsafeMutableBytes { bytes in
        // Each record's stored length is believed as far as the bytes go.
        var offset = 0
        while bytes.count - offset >= ReplicatedRecord.headerByteCount {
            let start = bytes.baseAddress! + offset
            let room = bytes.count - offset - ReplicatedRecord.headerByteCount
            let stored = min(Int(ByteOrder.loadLE(start, at: 24, as: UInt32.self)), room)
            let payload = UnsafeRawBufferPointer(start: start + ReplicatedRecord.headerByteCount, count: stored)
            ByteOrder.storeLE(nexa_xxh3(start + 8, 32, RecordHeader.payloadHash(payload)), to: start, at: 0)
            offset += ReplicatedRecord.headerByteCount + stored
        }
    }
    repaired.withUnsafeBytes(walk)
    if count >= 16 {
        repaired = Array(input)
        repaired.withUnsafeMutableBytes { bytes in
            let start = bytes.baseAddress!
            start.copyMemory(from: Array("NXCKPT\r\n".utf8), byteCount: 8)
            ByteOrder.storeLE(nexa_xxh3(start, count - 8, 0), to: start, at: count - 8)
        }
        repaired.withUnsafeBytes(checkManifest)
    }
    return 0
}

private func walk(_ input: UnsafeRawBufferPointer) {
    var cursor = ReplicatedRecordCursor(input)
    var end = 0
    do throws(ReplicationFault) {
        while let record = try cursor.next() {
            precondition(record.bytes.count == ReplicatedRecord.headerByteCount + Int(record.header.storedByteCount))
            end += record.bytes.count
            precondition(cursor.offset == end && end <= input.count)
        }
        precondition(end == input.count)
    } catch {
        precondition(cursor.offset == end)
    }
}

private func checkManifest(_ bytes: UnsafeRawBufferPointer) {
    guard let manifest = CheckpointManifest(bytes) else { return }
    _ = manifest.contradiction
    precondition(manifest.encoded().withUnsafeBytes { CheckpointManifest($0) } == manifest)
}
