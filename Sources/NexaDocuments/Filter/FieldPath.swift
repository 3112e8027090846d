// A dotted path outside of filters: projections, sort keys, vector fields. The same walk as in filters (nexa_path in C).

import CSupport

/// What a document sorts by at a path.
package enum SortValue {
    /// Sorts below everything.
    case emptyArray
    /// Sorts as null.
    case missing
    /// MessagePack bytes within the document.
    case value(UnsafeRawBufferPointer)
}

/// A dotted path, cut into segments once.
package struct FieldPath: Sendable, Equatable {
    /// The dotted text in UTF-8.
    package let text: [UInt8]
    private let segments: [Segment]

    private struct Segment: Sendable, Equatable, BitwiseCopyable {
        var offset: UInt32
        var length: UInt32
        var index: UInt32
    }

    /// nil when the text is empty, has an empty segment or has more than `segmentCountMax` segments.
    package init?(_ text: UnsafeRawBufferPointer, segmentCountMax: Int = 100) {
        var buffer = [nexa_segment](repeating: nexa_segment(), count: segmentCountMax)
        let count = nexa_path_split(text.baseAddress, text.count, &buffer, buffer.count)
        guard count > 0 else { return nil }
        self.text = [UInt8](text)
        segments = buffer[..<count].map { Segment(offset: $0.offset, length: $0.len, index: $0.index) }
    }

    package var segmentCount: Int { segments.count }

    /// The name of segment `index`, as a range of `text`.
    package func segmentRange(_ index: Int) -> Range<Int> {
        let start = Int(segments[index].offset)
        return start..<start + Int(segments[index].length)
    }

    /// The first value at this path of the map `document`, its MessagePack bytes; nil when there is none.
    package func find(in document: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let found = withSegments { nexa_path_find(document.baseAddress, document.count, text, $0, segments.count) }
        return found.ptr.map { UnsafeRawBufferPointer(start: $0, count: found.len) }
    }

    /// What `document` sorts by at this path: its smallest value there, or for a descending sort its largest.
    package func sortValue(in document: UnsafeRawBufferPointer, descending: Bool) -> SortValue {
        var value = nexa_bytes()
        let kind = withSegments {
            nexa_path_sort_value(document.baseAddress, document.count, text, $0, segments.count, descending, &value)
        }
        switch kind {
        case NEXA_SORT_EMPTY_ARRAY: return .emptyArray
        case NEXA_SORT_VALUE: return .value(UnsafeRawBufferPointer(start: value.ptr, count: value.len))
        default: return .missing
        }
    }

    /// `Segment` has the layout of `nexa_segment`, which is not Sendable or Equatable itself.
    private func withSegments<R>(_ body: (UnsafePointer<nexa_segment>) -> R) -> R {
        segments.withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: nexa_segment.self)) }
    }
}
