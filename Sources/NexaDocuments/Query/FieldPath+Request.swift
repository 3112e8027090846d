import NexaWire

extension FieldPath {
    /// The path that a request's `field` names. BAD_REQUEST if it is empty, has an empty segment or too many.
    init(request text: UnsafeRawBufferPointer, field: StaticString) throws(DocumentError) {
        guard let path = FieldPath(text) else {
            throw DocumentError(
                .badRequest, "'\(field)' names a path that is empty, has an empty segment or has too many",
                details: [.init("field", .string("\(field)"))])
        }
        self = path
    }

    /// Name of one segment.
    func name(_ index: Int) -> ArraySlice<UInt8> { text[segmentRange(index)] }
}
