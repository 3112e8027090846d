import NexaStorage
import NexaWire

/// Everything that a check of a closed store found.
struct StoreCheckReport {
    var verified: VerifyReport
    /// Damage, one line each, with file and offset.
    var damage: [String] = []
    /// Worth knowing and harmless: tables that no manifest names, the torn tail of a crash.
    var remarks: [String] = []
    var segmentCount = 0
}

/// Checks a closed store: the engine's own verification first, which follows manifest, tables and log as recovery would. Where that
/// stops at damage, what lies behind is looked at file by file, so that the report names all of it.
struct StoreCheck {
    let layout: StoreLayout
    let fileSystem: any FileSystem

    /// False when there is neither a manifest nor a marker.
    func holdsStore() throws(StorageError) -> Bool {
        try fileSystem.list(layout.directory).contains {
            ManifestFileName.marker($0) != nil || ManifestFileName.manifestID($0) != nil
        }
    }

    func run(progress: (VerifyProgress) -> Void) -> StoreCheckReport {
        var report = StoreCheckReport(
            verified: Engine.verify(directory: layout.directory, fileSystem: fileSystem, progress: progress))
        report.damage = report.verified.problems.map(\.description)
        let state = manifestState()
        inspectTables(state, &report)
        inspectLog(&report)
        if !report.verified.logSummary.isEmpty { report.remarks.append("log: " + report.verified.logSummary) }
        return report
    }

    /// The manifest's word; nil when it is damaged, which is in the report already.
    private func manifestState() -> ManifestState? {
        guard let manifest = try? ManifestReader.read(directory: layout.directory, fileSystem: fileSystem) else { return nil }
        return manifest.state
    }

    /// Tables that the manifest does not name. Without a manifest that is all of them: each is checked by itself.
    private func inspectTables(_ state: ManifestState?, _ report: inout StoreCheckReport) {
        let names = (try? fileSystem.list(layout.tableDirectory)) ?? []
        for name in names.sorted() {
            guard let number = StoreLayout.tableNumber(name) else {
                report.remarks.append("\(Path.join(layout.tableDirectory, name)): not a file of the store")
                continue
            }
            if let state {
                if state.files[number] == nil {
                    report.remarks.append("\(layout.tablePath(number)): no manifest names it; the node removes it when it starts")
                }
            } else if let problem = check(tableAt: layout.tablePath(number)) {
                report.damage.append(problem)
            } else {
                report.verified.tableCount += 1
            }
        }
    }

    private func check(tableAt path: String) -> String? {
        do throws(StorageError) {
            try TableReader.open(path: path, fileSystem: fileSystem, cache: BlockCache(capacity: 1 << 20)).verify()
            return nil
        } catch {
            return error.description
        }
    }

    /// Goes through every segment from end to end. What looks torn at the end of a file is left to the judgement of recovery, which
    /// knows the evidence; what is followed by whole records is listed here when recovery stopped somewhere.
    private func inspectLog(_ report: inout StoreCheckReport) {
        let names = ((try? fileSystem.list(layout.logDirectory)) ?? []).filter { LogFileName.segmentID($0) != nil }.sorted()
        report.segmentCount = names.count
        guard !report.damage.isEmpty else { return }
        for name in names {
            let path = Path.join(layout.logDirectory, name)
            var found: [String] = []
            do throws(StorageError) {
                try LogInspector.inspect(path: path, fileSystem: fileSystem) { finding in
                    // The newest file may be prepared for later use and not begun yet.
                    if case .badHeader = finding, name == names.last { return }
                    if let text = Self.text(finding) { found.append("\(path): \(text)") }
                }
            } catch {
                found.append(error.description)
            }
            report.damage += found
        }
    }

    private static func text(_ finding: LogFinding) -> String? {
        switch finding {
        case .header, .record, .note, .rest: nil
        case .badHeader(let reason): "header: \(reason)"
        case .unsupported(_, let offset, let reason): "offset \(offset): \(reason)"
        case .contradiction(let offset, let reason): "offset \(offset): \(reason)"
        case .damage(let offset, let byteCount, let fault): "offset \(offset), \(byteCount) bytes: \(fault)"
        }
    }
}
