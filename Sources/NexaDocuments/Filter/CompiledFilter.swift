// A filter of a request, checked and compiled once, then evaluated over the bytes of each document by the C program in nexa_filter.h.
// Array semantics are MongoDB's: a condition holds when one of the values at its path satisfies it; an array at the end of the path
// offers each of its elements and then itself; null equals missing; values of another class never satisfy a range condition.

import CSupport
import NexaWire

/// A compiled filter. Evaluation neither allocates nor locks.
///
/// `@unchecked Sendable`: the memory is written in `init` and never again.
package final class CompiledFilter: @unchecked Sendable {
    /// Whether every document matches (the empty filter).
    package let matchesEverything: Bool
    /// Bounds on `_id` that the filter implies: a scan of this key range sees every match.
    package let keyRange: KeyRange

    private let program: nexa_filter

    init(_ parts: borrowing FilterProgram, keyRange: KeyRange) {
        self.keyRange = keyRange
        matchesEverything = parts.nodes.count == 1 && parts.nodes[0].op == NEXA_FILTER_AND.rawValue
        program = nexa_filter(
            nodes: UnsafePointer(CompiledFilter.copy(parts.nodes)), segments: UnsafePointer(CompiledFilter.copy(parts.segments)),
            members: UnsafePointer(CompiledFilter.copy(parts.members)), pool: UnsafePointer(CompiledFilter.copy(parts.pool)),
            node_count: UInt32(parts.nodes.count), segment_count: UInt32(parts.segments.count),
            member_count: UInt32(parts.members.count), pool_len: UInt32(parts.pool.count))
        withUnsafePointer(to: program) { precondition(nexa_filter_check($0), "the compiler made a malformed program") }
    }

    deinit {
        program.nodes.deallocate()
        program.segments.deallocate()
        program.members.deallocate()
        program.pool.deallocate()
    }

    /// Compiles the MessagePack map `filter`. No bytes and nil count as the empty filter. Throws BAD_FILTER naming operator and path.
    package static func compile(
        _ filter: UnsafeRawBufferPointer, limits: FilterLimits = FilterLimits()
    ) throws(DocumentError) -> CompiledFilter {
        var compiler = FilterCompiler(limits: limits)
        try compiler.compile(filter)
        return CompiledFilter(compiler.program, keyRange: compiler.keyRange)
    }

    /// Whether the MessagePack map `document` matches.
    @inline(__always)
    package func matches(_ document: UnsafeRawBufferPointer) -> Bool {
        withUnsafePointer(to: program) { nexa_filter_matches($0, document.baseAddress, document.count) }
    }

    /// As `matches`, in pieces: goes on at `leaf` (0: from the start). Nil, and the leaf to go on at, when the conditions may have walked
    /// over `work` bytes before the answer stands; each call gets one condition further at least.
    @inline(__always)
    package func verdict(on document: UnsafeRawBufferPointer, from leaf: inout UInt32, work: Int) -> Bool? {
        let verdict = withUnsafePointer(to: program) {
            nexa_filter_resume($0, document.baseAddress, document.count, work, &leaf)
        }
        return verdict == NEXA_FILTER_UNFINISHED ? nil : verdict == NEXA_FILTER_YES
    }

    private static func copy<T: BitwiseCopyable>(_ elements: [T]) -> UnsafeMutablePointer<T> {
        let memory = UnsafeMutablePointer<T>.allocate(capacity: max(1, elements.count))
        memory.initialize(from: elements, count: elements.count)
        return memory
    }
}

/// The parts of a filter program while it is built; see nexa_filter.h.
struct FilterProgram {
    var nodes: [nexa_filter_node] = []
    var segments: [nexa_segment] = []
    var members: [nexa_filter_member] = []
    var pool: [UInt8] = []
}
