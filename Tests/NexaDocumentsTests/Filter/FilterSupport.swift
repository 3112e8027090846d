import Foundation
import NexaDocuments
import NexaWire
import Testing

/// Compiles the filter that `json` spells.
func compileFilter(_ json: String) throws -> CompiledFilter {
    try FilterCasesTests.compile(try MessagePackValue(decoding: JSONParser.parse(json)))
}

/// The error that the filter is refused with.
func refusal(_ filter: MessagePackValue) throws -> DocumentError {
    do throws(DocumentError) {
        _ = try FilterCasesTests.compile(filter)
    } catch {
        return error
    }
    Issue.record("accepted: \(JSONText.write(filter).prefix(200))")
    return DocumentError(.internal, "accepted")
}

func matches(_ filter: String, _ document: String) throws -> Bool {
    let filter = try compileFilter(filter)
    return try JSONParser.parse(document).withUnsafeBytes { filter.matches($0) }
}

/// Processor time of this thread: what a hostile input costs, however busy the machine is.
func threadMilliseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
}
