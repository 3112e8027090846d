/// The documents of an IMPORT_TOON, checked by themselves as the batch that writes them checks them: what `replace` drops is dropped
/// only for documents that can take its place.

import NexaDocuments
import NexaWire

struct ToonImport {
    let documentCount: Int
    /// The documents as the list of a BATCH_WRITE.
    let list: OutputBytes

    /// Reads `text`. BAD_REQUEST, DUPLICATE or TOO_LARGE when its documents cannot be written whatever the collection holds.
    init(_ text: String, byteCountMax: Int) throws(DocumentError) {
        let documents = try Self.documents(from: text)
        guard documents.count <= BatchRequest.itemCountMax else {
            throw DocumentError(.tooLarge, "An import has at most \(BatchRequest.itemCountMax) documents, not \(documents.count)")
        }
        documentCount = documents.count
        list = OutputBytes()
        list.writeArrayHeader(documents.count)
        var keys: Set<String> = []
        var dimensions: Int?
        for (index, document) in documents.enumerated() {
            // A column's name stands once in the text and once in each document: the text does not bound them.
            document.encode(into: list)
            guard list.byteCount <= byteCountMax else {
                throw DocumentError(
                    .tooLarge, "The documents have more than \(byteCountMax) bytes (max-frame): import them in several parts",
                    details: [.init("limit", .int(Int64(byteCountMax)))])
            }
            if let key = try Self.key(of: document, index), !keys.insert(key).inserted {
                throw DocumentError(
                    .duplicate, "Duplicate key: two documents are '\(key)'",
                    details: [.init("id", .string(key)), .init("index", .int(Int64(index)))])
            }
            guard let count = try Self.dimensions(of: document, index) else { continue }
            guard dimensions == nil || dimensions == count else {
                throw Self.wrong(index, "Vector dimension mismatch: \(count) dimensions behind vectors of \(dimensions ?? count)")
            }
            dimensions = count
        }
        guard payloadIsValid(list.bytes) else {
            throw DocumentError(
                .badRequest, "Failed to import TOON data: a column stands there twice, or values are nested too deep")
        }
    }

    /// The field `documents`, or the whole map as one.
    private static func documents(from text: String) throws(DocumentError) -> [MessagePackValue] {
        let value: MessagePackValue
        do throws(ToonError) {
            value = try ToonReader.parse(text)
        } catch {
            throw DocumentError(
                .badRequest, "Failed to import TOON data: \(error)", details: [.init("line", .int(Int64(error.line)))])
        }
        let documents = value["documents"]?.arrayValue ?? [value]
        for document in documents where document.mapValue == nil {
            throw DocumentError(.badRequest, "Failed to import TOON data: 'documents' is not a table of documents")
        }
        return documents
    }

    /// Nil: one will be made.
    private static func key(of document: MessagePackValue, _ index: Int) throws(DocumentError) -> String? {
        switch document["_id"] {
        case nil, .null?: return nil
        case .string(var key)?:
            guard key.withUTF8({ NameRules.isValidKey(UnsafeRawBufferPointer($0)) }) else {
                throw wrong(index, "A key has 1 to \(NameRules.keyByteCountMax) bytes, not \(key.utf8.count)")
            }
            return key
        default: throw wrong(index, "'_id' is the key of the document and must be text: write \"7\" instead of 7")
        }
    }

    /// What the document's vector, or the announcement of one, says about the vectors of its collection.
    private static func dimensions(of document: MessagePackValue, _ index: Int) throws(DocumentError) -> Int? {
        let announced = document["_vector_dimensions"]?.intValue.map(Int.init)
        let numbers = document["vector"]?.arrayValue.map { $0.map(\.doubleValue) } ?? []
        guard let count = numbers.isEmpty || numbers.contains(nil) ? announced : numbers.count else { return nil }
        guard (1...VectorSearchSpec.dimensionsMax).contains(count) else {
            throw wrong(index, "A vector has 1 to \(VectorSearchSpec.dimensionsMax) dimensions, not \(count)")
        }
        guard numbers.allSatisfy({ $0.map { Float($0).isFinite } ?? true }) else {
            throw wrong(index, "A vector holds finite float32 numbers only")
        }
        return count
    }

    private static func wrong(_ index: Int, _ message: String) -> DocumentError {
        DocumentError(.badRequest, message, details: [.init("index", .int(Int64(index)))])
    }
}
