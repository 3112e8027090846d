// Reads every byte of backups: each object once, however many backups name it, and then whether the store's own manifest in each backup names
// exactly the tables that the backup has. So what passes can be opened.

import NexaStorage

package struct BackupVerification {
    package struct Report: Sendable {
        package var backupCount = 0
        package var objectCount = 0
        package var byteCount: UInt64 = 0
        /// One line each; empty: everything is whole.
        package var damage: [String] = []
    }

    /// - Parameter names: empty for all.
    /// - Parameter progress: bytes that were read, of how many.
    package static func run(
        _ repository: BackupRepository, _ names: [BackupName], progress: (UInt64, UInt64) -> Void = { _, _ in },
        isInterrupted: () -> Bool = { false }
    ) throws(BackupError) -> Report {
        var report = Report()
        var manifests: [BackupManifest] = []
        if names.isEmpty {
            (manifests, report.damage) = try repository.manifests()
        } else {
            for name in names {
                do throws(BackupError) {
                    manifests.append(try repository.manifest(name))
                } catch .damaged(let reason) {
                    report.damage.append(reason)
                }
            }
        }
        report.backupCount = manifests.count + report.damage.count
        var users: [BackupObject: [BackupName]] = [:]
        for manifest in manifests {
            for object in manifest.objects { users[object, default: []].append(manifest.name) }
        }
        let total = users.keys.reduce(0) { $0 + $1.byteCount }
        for (object, names) in users.sorted(by: { $0.key.name < $1.key.name }) {
            if isInterrupted() { throw .interrupted }
            let path = repository.path(object)
            let reason = try BackupError.storing { () throws(StorageError) in
                try object.mismatch(at: path, repository.fileSystem)
            }
            if let reason { report.damage.append("\(path): \(reason); needed by \(names.map(\.text).joined(separator: ", "))") }
            report.objectCount += 1
            report.byteCount += object.byteCount
            progress(report.byteCount, total)
        }
        // Whether manifests fit makes sense to ask of objects that are whole only.
        guard report.damage.isEmpty else { return report }
        for manifest in manifests {
            let reason = try BackupError.storing { () throws(StorageError) in
                try StoreView(manifest, in: repository).contradiction()
            }
            if let reason { report.damage.append("\(manifest.name): \(reason)") }
        }
        return report
    }
}
