/// The file formats of `nexadb import` and `nexadb export`.
package enum TransferFormat: String, CaseIterable, Sendable {
    /// One JSON value a line.
    case jsonl
    /// One array of values, or values one behind the other.
    case json
    /// RFC 4180 with commas, and with tabs.
    case csv, tsv
    /// Maps one behind the other.
    case msgpack

    /// What the ending of a file's name says; nil when it says nothing.
    package init?(fileName: String) {
        switch fileName.split(separator: ".", omittingEmptySubsequences: false).last?.lowercased() {
        case "jsonl", "ndjson": self = .jsonl
        case "json": self = .json
        case "csv": self = .csv
        case "tsv", "tab": self = .tsv
        case "msgpack", "mpk", "mp": self = .msgpack
        default: return nil
        }
    }

    package var isDelimited: Bool { self == .csv || self == .tsv }

    /// What stands between two fields, unless the user names another character.
    package var delimiter: UInt8 { self == .tsv ? UInt8(ascii: "\t") : UInt8(ascii: ",") }
}
