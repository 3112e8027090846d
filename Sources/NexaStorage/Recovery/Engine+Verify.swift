// Reads and checks every byte of a store: manifest, each table against what the manifest says of it, and every log record. A
// closed store is checked without changing anything; an open one while it works.

import Glibc

/// How far a verification is.
package struct VerifyProgress: Sendable {
    /// File that was checked last.
    package let file: String
    /// Bytes checked so far.
    package let checkedByteCount: UInt64
    /// Bytes to check in all.
    package let totalByteCount: UInt64
}

/// What a verification found.
package struct VerifyReport: Sendable {
    package var tableCount = 0
    package var tableByteCount: UInt64 = 0
    package var entryCount: UInt64 = 0
    package var logRecordCount = 0
    /// What recovery would say about the end of the log.
    package var logSummary = ""
    /// Everything that is damaged; empty when all is well.
    package var problems: [StorageError] = []
}

extension Engine {
    /// Checks an open store: the tables of this moment, the manifest, and the log up to what is durable now. Throws the first
    /// damage.
    package func verify(progress: (VerifyProgress) -> Void = { _ in }) throws(StorageError) {
        let view = views.load().view
        let files = view.version.allTables.map(\.file)
        var report = VerifyReport()
        verifyTables(files, store: tableStore, report: &report, progress: progress)
        if let problem = report.problems.first { throw problem }
        _ = try editing.withLock { () throws(StorageError) in
            try ManifestReader.read(directory: layout.directory, fileSystem: fileSystem)
        }
        if let oldest = segments.oldestLSN {
            let tail = LogTail(segments: segments, from: oldest)
            let durable = durableLSN
            while try tail.read(upTo: durable, byteCountMax: 1 << 20, { _ in }) == .more {}
        }
        withExtendedLifetime(view) {}
    }

    /// Checks a store that nobody has open, without writing. Goes on after damage, so the report names all of it.
    package static func verify(
        directory: String, fileSystem: any FileSystem, progress: (VerifyProgress) -> Void = { _ in }
    ) -> VerifyReport {
        var report = VerifyReport()
        let layout = StoreLayout(directory: directory)
        do throws(StorageError) {
            guard let manifest = try ManifestReader.read(directory: directory, fileSystem: fileSystem) else {
                report.problems.append(.io(operation: "find a manifest in", path: directory, errno: ENOENT))
                return report
            }
            let store = TableStore(
                layout: layout, fileSystem: fileSystem, cache: BlockCache(capacity: 1 << 20), options: TableOptions(),
                nextNumber: manifest.state.nextFile)
            verifyTables(
                manifest.state.files.values.sorted { $0.number < $1.number }, store: store, report: &report, progress: progress)
            let log = try LogRecovery.recover(
                directory: layout.logDirectory, fileSystem: fileSystem, storeUUID: manifest.state.storeUUID!,
                evidence: manifest.state.logEvidence, makesDurable: false
            ) { record, payload throws(StorageError) in try BatchPayload.check(payload, record, directory: layout.logDirectory) }
            report.logRecordCount = log.recordCount
            report.logSummary = log.summary
        } catch {
            report.problems.append(error)
        }
        return report
    }
}

private func verifyTables(
    _ files: [TableFile], store: TableStore, report: inout VerifyReport, progress: (VerifyProgress) -> Void
) {
    let total = files.reduce(0) { $0 + $1.byteCount }
    for file in files {
        do throws(StorageError) {
            let reader = try store.openTable(file)
            try reader.verify()
            report.entryCount += file.entryCount
        } catch {
            report.problems.append(error)
        }
        report.tableCount += 1
        report.tableByteCount += file.byteCount
        progress(
            VerifyProgress(
                file: store.layout.tablePath(file.number), checkedByteCount: report.tableByteCount, totalByteCount: total))
    }
}
