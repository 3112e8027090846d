import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire

/// Writes with an `op_id`, answered as values.
extension DocumentWorker {
    struct RepeatableAnswer: Equatable {
        var document: MessagePackValue
        var key: String
        var lsn: LSN
        var isGone = false
    }

    func create(
        _ document: MessagePackValue, in collection: Collection, as operation: [UInt8], _ options: WriteOptions = WriteOptions()
    ) throws -> RepeatableAnswer {
        try withOperation(operation) { operation in
            try withBytes(document) { document in
                let result = try create(collection, document: document, options: options, operation: operation)
                return try Self.answer(result)
            }
        }
    }

    func update(
        _ key: String, _ updates: MessagePackValue, in collection: Collection, as operation: [UInt8],
        _ options: WriteOptions = WriteOptions()
    ) throws -> RepeatableAnswer? {
        try withOperation(operation) { operation in
            try withBytes(key) { key in
                try withBytes(updates) { updates in
                    try update(collection, key: key, updates: updates, options: options, operation: operation).map(Self.answer)
                }
            }
        }
    }

    func delete(
        _ key: String, in collection: Collection, as operation: [UInt8], _ options: WriteOptions = WriteOptions()
    ) throws -> LSN? {
        try withOperation(operation) { operation in
            try withBytes(key) { try delete(collection, key: $0, options: options, operation: operation) }
        }
    }

    private static func answer(_ result: WriteResult) throws -> RepeatableAnswer {
        RepeatableAnswer(
            document: result.isGone ? .null : try MessagePackValue(decoding: result.document.bytes),
            key: result.document.key.string, lsn: result.lsn, isGone: result.isGone)
    }
}

/// The `number`th operation of a client.
func operationBytes(_ number: Int, client: UInt8 = 7) -> [UInt8] {
    [UInt8](repeating: client, count: 16) + withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) }
}

func withOperation<R>(_ bytes: [UInt8], _ body: (OperationID) throws -> R) rethrows -> R {
    try bytes.withUnsafeBytes { try body(OperationID($0)!) }
}
