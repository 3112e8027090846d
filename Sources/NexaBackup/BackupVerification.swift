// Reads every byte of backups: each object once, however many backups name it, and then whether the store's own manifest in each backup names
// exactly the tables that the backup has. So what passes can be opened.
//
// It takes no lock: a backup that is deleted meanwhile is left out, and what it alone needed is not missed.

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
        func isThere(_ name: BackupName) -> Bool { repository.fileSystem.exists(repository.manifestPath(name)) }
        var report = Report()
        var manifests: [BackupManifest] = []
        if names.isEmpty {
            (manifests, report.damage) = try repository.manifests()
        } else {
            for name in names {
                do throws(BackupError) {
                    manifests.append(try repository.manifest(name))
                } catch {
                    if case .missing = error { throw error }
                    report.damage.append(error.description)
                }
            }
        }
        let unreadableCount = report.damage.count
        var users: [BackupObject: [BackupName]] = [:]
        for manifest in manifests {
            for object in manifest.objects { users[object, default: []].append(manifest.name) }
        }
        let total = users.keys.reduce(0) { Self.sum($0, $1.byteCount) }
        for (object, names) in users.sorted(by: { $0.key.name < $1.key.name }) {
            if isInterrupted() { throw .interrupted }
            let path = repository.path(object)
            if let reason = reason({ () throws(StorageError) in try object.mismatch(at: path, repository.fileSystem) }) {
                let names = names.filter(isThere)
                guard !names.isEmpty else { continue }
                report.damage.append("\(path): \(reason); needed by \(names.map(\.text).joined(separator: ", "))")
            }
            report.objectCount += 1
            report.byteCount = Self.sum(report.byteCount, object.byteCount)
            progress(report.byteCount, total)
        }
        manifests.removeAll { !isThere($0.name) }
        report.backupCount = manifests.count + unreadableCount
        // Whether manifests fit makes sense to ask of objects that are whole only.
        guard report.damage.isEmpty else { return report }
        for manifest in manifests {
            let reason = reason { () throws(StorageError) in try StoreView(manifest, in: repository).contradiction() }
            if let reason, isThere(manifest.name) { report.damage.append("\(manifest.name): \(reason)") }
        }
        return report
    }

    /// What is wrong; what cannot be read is, too.
    private static func reason(_ check: () throws(StorageError) -> String?) -> String? {
        do throws(StorageError) { return try check() } catch { return error.description }
    }

    /// Manifests may claim any size for a file.
    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, isTooLarge) = left.addingReportingOverflow(right)
        return isTooLarge ? .max : sum
    }
}
