import NexaStorage
import NexaWire

/// One entry of a batch's `operations`, read from its map.
///
///     {op: "create" | "put" | "update" | "delete", collection?, data? | document?, updates?,
///      key? | document_id? | _id? | id?, upsert?, if_match?}
struct BatchOperation {
    private(set) var operation: BatchItem.Operation?
    private(set) var collection = UnsafeRawBufferPointer.none
    private(set) var key = UnsafeRawBufferPointer.none
    /// The document of create and put.
    private(set) var data = UnsafeRawBufferPointer.none
    private(set) var updates = UnsafeRawBufferPointer.none
    /// An update may create, a put does; nil: as is usual for the operation.
    private(set) var upserts: Bool?
    private(set) var ifMatch: LSN?

    /// Reads the map. BAD_REQUEST names the field at fault.
    init(_ bytes: UnsafeRawBufferPointer) throws(DocumentError) {
        guard var walk = FieldWalk(bytes) else { throw Self.bad("op", "An operation is a map with 'op'") }
        while walk.next() {
            var reader = MessagePackReader(walk.value)
            if walk.isNamed("op") {
                guard let text = try? reader.readStringBytes(), let known = Self.operation(named: text) else {
                    throw Self.bad("op", "'op' is one of create, put, update, delete")
                }
                operation = known
            } else if walk.isNamed("collection") {
                guard let text = try? reader.readStringBytes() else { throw Self.bad("collection", "'collection' is a name") }
                collection = text
            } else if walk.isNamed("key") || walk.isNamed("document_id") || walk.isNamed("_id") || walk.isNamed("id") {
                guard let text = try? reader.readStringBytes() else { throw Self.bad("key", "A key is text") }
                key = text
            } else if walk.isNamed("data") || walk.isNamed("document") {
                data = walk.value
            } else if walk.isNamed("updates") {
                updates = walk.value
            } else if walk.isNamed("upsert") {
                guard let flag = try? reader.readBool() else { throw Self.bad("upsert", "'upsert' is true or false") }
                upserts = flag
            } else if walk.isNamed("if_match") {
                guard let lsn = try? reader.readUInt64() else { throw Self.bad("if_match", "'if_match' is a document's _rev") }
                ifMatch = lsn
            }
        }
        guard operation != nil else { throw Self.bad("op", "An operation is a map with 'op'") }
        if updates.count == 0 { updates = data }
    }

    private static func operation(named text: UnsafeRawBufferPointer) -> BatchItem.Operation? {
        switch text.count {
        case 3 where areEqual(text, named: "put"): .put
        case 6 where areEqual(text, named: "create"): .create
        case 6 where areEqual(text, named: "update"): .update
        case 6 where areEqual(text, named: "delete"): .delete
        default: nil
        }
    }

    private static func areEqual(_ text: UnsafeRawBufferPointer, named name: StaticString) -> Bool {
        NexaDocuments.areEqual(text, UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    static func bad(_ field: String, _ message: String) -> DocumentError {
        DocumentError(.badRequest, message, details: [.init("field", .string(field))])
    }
}
