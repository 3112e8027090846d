import NexaStorage
import NexaWire

/// Why one item of a batch that is not atomic was left out.
package struct BatchItemError: Sendable {
    /// Place in the request, from 0.
    package let index: Int
    package let error: DocumentError
}

/// What a batch did. Valid until the next call on the worker.
package struct BatchResult {
    /// The position of the whole batch: it is one record of the log.
    package let lsn: LSN
    /// Items that were written.
    package let count: Int
    /// Keys of the items that were written, in the order of the request.
    package let keys: BatchKeys
    /// Items that failed or, in an ordered batch, the one that stopped it.
    package let errors: [BatchItemError]
}

/// Keys of a batch in borrowed memory.
package struct BatchKeys {
    let bytes: UnsafeRawBufferPointer
    let ranges: ContiguousArray<Range<Int>>
    /// What stands in front of each document's key within its range.
    let prefixByteCount: Int

    package var count: Int { ranges.count }

    package subscript(index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[ranges[index]].dropFirst(prefixByteCount))
    }
}

// MARK: As MessagePack: in the answer, and in what is remembered of it

extension BatchKeys {
    /// Appends the list of the keys.
    package func encode(into output: OutputBytes) {
        output.writeArrayHeader(count)
        for index in 0..<count { output.writeString(bytes: self[index]) }
    }

    /// Reads what `encode` wrote; the keys lie in `bytes`, which are the reader's.
    init(decoding reader: inout MessagePackReader, of bytes: UnsafeRawBufferPointer) throws(MessagePackError) {
        var ranges: ContiguousArray<Range<Int>> = []
        for _ in 0..<(try reader.readArrayHeader()) {
            let key = try reader.readStringBytes()
            ranges.append(reader.position - key.count..<reader.position)
        }
        self.init(bytes: bytes, ranges: ranges, prefixByteCount: 0)
    }
}

extension [BatchItemError] {
    /// Appends the list of the errors, each `{index, code, error, ...details}`.
    package func encode(into output: OutputBytes) {
        output.writeArrayHeader(count)
        for item in self {
            output.writeMapHeader(3 + item.error.details.count)
            output.writeString("index")
            output.writeInt(item.index)
            output.writeString("code")
            output.writeString(item.error.code.rawValue)
            output.writeString("error")
            output.writeString(item.error.message)
            for detail in item.error.details {
                detail.key.encode(into: output)
                detail.value.encode(into: output)
            }
        }
    }

    /// Reads what `encode` wrote.
    init(decoding reader: inout MessagePackReader) throws(MessagePackError) {
        self = []
        for _ in 0..<(try reader.readArrayHeader()) {
            let start = reader.position
            guard let fields = try MessagePackValue(decoding: try reader.readRawValue()).mapValue, fields.count >= 3,
                let index = fields[0].value.intValue, let code = fields[1].value.stringValue.flatMap(ErrorCode.init),
                let message = fields[2].value.stringValue
            else { throw MessagePackError(.wrongType, at: start) }
            let details = [MessagePackValue.Entry](fields.dropFirst(3))
            append(BatchItemError(index: Int(index), error: DocumentError(code, message, details: details)))
        }
    }
}
