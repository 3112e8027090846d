import CSupport
import NexaWire

/// A dotted path of a request, cut into segments once: `address.city`, `items.0.price`.
struct FieldPath: Sendable {
    static let segmentCountMax = 100

    let text: [UInt8]
    let segments: ContiguousArray<nexa_segment>

    /// BAD_REQUEST if the path is empty, has an empty segment or too many.
    init(_ path: UnsafeRawBufferPointer, field: StaticString) throws(DocumentError) {
        try self.init(Array(path), field: field)
    }

    init(_ path: [UInt8], field: StaticString) throws(DocumentError) {
        text = path
        var segments = ContiguousArray<nexa_segment>(repeating: nexa_segment(), count: Self.segmentCountMax)
        let count = segments.withUnsafeMutableBufferPointer { buffer in
            path.withUnsafeBytes { nexa_path_split($0.baseAddress, $0.count, buffer.baseAddress, buffer.count) }
        }
        guard count > 0 else {
            throw DocumentError(
                .badRequest,
                "'\(field)' names a path that is empty, has an empty segment or more than \(Self.segmentCountMax) segments",
                details: [.init("field", .string("\(field)"))])
        }
        segments.removeLast(Self.segmentCountMax - count)
        self.segments = segments
    }

    /// Text of one segment.
    func name(_ index: Int) -> ArraySlice<UInt8> {
        let segment = segments[index]
        return text[Int(segment.offset)..<Int(segment.offset) + Int(segment.len)]
    }

    /// The first value at the path; no bytes if there is none.
    @inline(__always)
    func find(in document: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        text.withUnsafeBytes { text in
            segments.withUnsafeBufferPointer { segments in
                let found = nexa_path_find(
                    document.baseAddress, document.count, text.baseAddress, segments.baseAddress, segments.count)
                return UnsafeRawBufferPointer(start: found.ptr, count: found.len)
            }
        }
    }

    /// What the document sorts by at this path.
    @inline(__always)
    func sortValue(in document: UnsafeRawBufferPointer, descending: Bool) -> (nexa_sort_class, UnsafeRawBufferPointer) {
        text.withUnsafeBytes { text in
            segments.withUnsafeBufferPointer { segments in
                var value = nexa_bytes(ptr: nil, len: 0)
                let kind = nexa_path_sort_value(
                    document.baseAddress, document.count, text.baseAddress, segments.baseAddress, segments.count, descending,
                    &value)
                return (kind, UnsafeRawBufferPointer(start: value.ptr, count: value.len))
            }
        }
    }
}
