/// The file formats of `nexadb import` and `nexadb export`.
package enum TransferFormat: String, CaseIterable, Sendable {
    case jsonl, json, csv, tsv, msgpack
}
