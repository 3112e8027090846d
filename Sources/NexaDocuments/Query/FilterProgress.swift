import NexaWire

/// The evaluation of a filter on one document after the other, which can pause within one: a document may have millions of fields, and a
/// filter a thousand conditions that each walk over them.
struct FilterProgress {
    /// Bytes between two looks at the clock, as for documents (see `StepClock`).
    private static let workMax = 256 << 10

    /// The condition to go on at.
    private var leaf: UInt32 = 0

    /// Whether the document matches; nil if the step's time is up before that is known: the next step asks again for the same document.
    @inline(__always)
    mutating func judge(
        _ document: UnsafeRawBufferPointer, by filter: CompiledFilter, _ clock: inout StepClock, _ cancellation: Cancellation
    ) throws(DocumentError) -> Bool? {
        if filter.matchesEverything { return true }
        while true {
            if let isMatch = filter.verdict(on: document, from: &leaf, work: Self.workMax) {
                leaf = 0
                return isMatch
            }
            if try clock.look(cancellation) { return nil }
        }
    }
}
