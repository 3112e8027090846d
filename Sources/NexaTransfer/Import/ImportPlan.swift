import NexaBlockingClient
import NexaWire

/// Where records come from and how they are read.
package struct InputPlan: Sendable {
    /// A file, or "-" for standard input.
    package var path: String
    package var format: TransferFormat
    /// Between the fields of a delimited file.
    package var delimiter: UInt8
    /// Names of the columns of a delimited file without a header row.
    package var columns: [String] = []
    package var types: [String: ColumnType] = [:]
    /// Of columns that `types` does not name.
    package var defaultType = ColumnType.string
    /// Leave empty fields of a delimited file out.
    package var skipsEmpty = false

    package init(path: String, format: TransferFormat) {
        self.path = path
        self.format = format
        delimiter = format.delimiter
    }
}

/// What is done with a document.
package enum ImportMode: String, CaseIterable, Sendable {
    /// It is new; one under the same id is in its way.
    case insert
    /// New, or its fields replace those of the one under its id, which keeps its others.
    case upsert
    /// New, or in place of the one under its id.
    case replace

    /// How deep a document may be nested: a payload's limit less the maps and the list that the request puts around it.
    var documentDepthMax: Int { nestingDepthMax - (self == .insert ? 2 : 3) }
}

package struct ImportPlan: Sendable {
    package enum OnError: String, CaseIterable, Sendable { case stop, `continue` }

    package var input: InputPlan
    package var database = "default"
    package var collection: String
    package var mode = ImportMode.insert
    /// The field whose value becomes the document's `_id`.
    package var idField: String?
    package var durability: String?
    package var writeConcern: WriteConcern?
    package var limits = BatchLimits()
    package var connections = 4
    package var onError = OnError.stop
    /// Where records that were refused are kept.
    package var rejectsPath: String?
    /// Where the position is kept; nil: nowhere, the import cannot be taken up again.
    package var statePath: String?
    /// Forget the position of an earlier run.
    package var startsAgain = false
    package var dropsCollection = false
    /// So long a node may be away, or too busy, before the import gives up.
    package var retrySeconds: Double = 60

    package enum WriteConcern: Sendable, Equatable {
        case nodes(Int)
        case majority
    }

    package init(input: InputPlan, collection: String) {
        self.input = input
        self.collection = collection
    }

    /// What must be the same when an import is taken up again: it decides which bytes a batch is.
    var fixedSettings: [(name: String, value: String)] {
        [
            ("--database", database), ("the collection", collection), ("--format", input.format.rawValue),
            ("--mode", mode.rawValue), ("--id-field", idField ?? ""), ("--fields", input.columns.joined(separator: ",")),
            ("--delimiter", String(input.delimiter)),
            ("--types", input.types.map { "\($0.key)=\($0.value.rawValue)" }.sorted().joined(separator: ",")),
            ("--infer-types", input.defaultType.rawValue), ("--skip-empty", String(input.skipsEmpty)),
            ("--batch-size", String(limits.records)), ("--batch-bytes", String(limits.bytes)),
        ]
    }
}
