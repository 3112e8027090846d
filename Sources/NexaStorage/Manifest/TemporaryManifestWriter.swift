final class TempManifest {}
package final class ManifestWriter {
  var state = ManifestState()
  var storeUUID = StoreUUID(high: 1, low: 2)
  static func open(directory: String, fileSystem: any FileSystem) throws(StorageError) -> ManifestWriter { ManifestWriter() }
  func append(_ edit: VersionEdit) throws(StorageError) { if let w = edit.walLow { state.walLow = w }; if let f = edit.flushedLSN { state.flushedLSN = f } }
}
extension TableFile { var rangeTombstoneCount: UInt64 { 0 } }
enum MemTableTombstones { static let countMax = 4096 }
