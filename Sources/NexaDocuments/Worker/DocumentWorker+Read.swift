import NexaStorage
import NexaWire

/// READ and MULTI_READ.
extension DocumentWorker {
    /// Keys of one MULTI_READ.
    package static let multiReadKeyCountMax = 10_000

    /// The document of `key` as of `lsn`; nil if there is none.
    @inline(__always)
    package func read(
        _ collection: Collection, key: UnsafeRawBufferPointer, at lsn: LSN, mayBlock: Bool
    ) throws(DocumentError) -> DocumentView? {
        guard NameRules.isValidKey(key) else { return nil }
        return try stored(engineKey(collection, key), at: lsn, mayBlock: mayBlock)
    }

    /// Appends a MessagePack list with a document, or nil, for each text in the list `keys`; answers how many were found. On an
    /// error the output is as before. RESULT_TOO_LARGE when the list would grow beyond `byteCountMax`.
    package func multiRead(
        _ collection: Collection, keys: UnsafeRawBufferPointer, at lsn: LSN, shape: DocumentShape, mayBlock: Bool,
        byteCountMax: Int = DocumentSplice.documentByteCountMax, into output: OutputBytes
    ) throws(DocumentError) -> Int {
        let start = output.byteCount
        do throws(DocumentError) {
            return try appendAll(collection, keys, lsn, shape, mayBlock, byteCountMax, output)
        } catch {
            output.truncate(to: start)
            throw error
        }
    }

    private func appendAll(
        _ collection: Collection, _ keys: UnsafeRawBufferPointer, _ lsn: LSN, _ shape: DocumentShape, _ mayBlock: Bool,
        _ byteCountMax: Int, _ output: OutputBytes
    ) throws(DocumentError) -> Int {
        var reader = MessagePackReader(keys)
        guard let count = try? reader.readArrayHeader() else {
            throw DocumentError(.badRequest, "'keys' is a list of texts", details: [.init("field", "keys")])
        }
        guard count <= Self.multiReadKeyCountMax else {
            throw DocumentError(.tooLarge, "MULTI_READ takes at most \(Self.multiReadKeyCountMax) keys, not \(count)")
        }
        let start = output.byteCount
        var found = 0
        output.writeArrayHeader(count)
        for index in 0..<count {
            guard let key = try? reader.readStringBytes() else {
                throw DocumentError(
                    .badRequest, "'keys' is a list of texts", details: [.init("path", .string("keys.\(index)"))])
            }
            if let document = try read(collection, key: key, at: lsn, mayBlock: mayBlock) {
                document.append(to: output, shape: shape)
                found += 1
            } else {
                output.writeNil()
            }
            guard output.byteCount - start <= byteCountMax else {
                throw DocumentError(
                    .resultTooLarge, "The documents exceed \(byteCountMax) bytes: ask for fewer keys at a time")
            }
        }
        return found
    }
}
