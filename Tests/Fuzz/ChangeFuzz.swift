// What change streams believe of clients and of the log: a resume token is taken only as it was made, and a batch payload, notes and all,
// is walked within its bytes.

import NexaDocuments
import NexaStorage

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChange(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: data, count: count)
    if let position = ResumeToken.decode(input) {
        precondition(ResumeToken.encode(position) == Array(input), "a token that was taken is the one that would be made")
        precondition(position.nextLSN > 0)
    }
    var cursor = BatchCursor(input)
    var operations = 0
    do throws(MalformedBatch) {
        while let operation = try cursor.next() {
            for part in [operation.key, operation.value, operation.note] where part.count > 0 {
                precondition(
                    part.baseAddress! >= input.baseAddress! && part.baseAddress! + part.count <= input.baseAddress! + count)
            }
            operations += 1
        }
        precondition(cursor.isAtEnd)
    } catch {
        precondition(error.offset >= 0 && error.offset < count)
    }
    precondition(operations <= count)
    return 0
}
