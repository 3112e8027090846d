import NexaWire

package struct ExportPlan: Sendable {
    package var database = "default"
    package var collection: String
    package var filter: MessagePackValue?
    package var sort: MessagePackValue?
    package var limit: Int64?
    /// Fields, or dotted paths to them; the columns of a delimited file. Empty: whole documents.
    package var fields: [String] = []
    package var format: TransferFormat
    package var delimiter: UInt8
    /// A file, or "-" for standard output.
    package var path: String

    package init(collection: String, format: TransferFormat, path: String) {
        self.collection = collection
        self.format = format
        self.path = path
        delimiter = format.delimiter
    }

    /// The QUERY that is asked.
    var query: MessagePackValue {
        var entries: [MessagePackValue.Entry] = [
            .init("database", .string(database)), .init("collection", .string(collection)), .init("stream", true),
            .init("include_vector", true),
        ]
        if let filter { entries.append(.init("filters", filter)) }
        if let sort { entries.append(.init("sort", sort)) }
        if let limit { entries.append(.init("limit", .int(limit))) }
        if !fields.isEmpty { entries.append(.init("projection", .array(fields.map { .string($0) }))) }
        return .map(entries)
    }
}
