/// A manifest as it was found.
package struct RecoveredManifest: Sendable {
    package var state: ManifestState
    package var marker: ManifestFileName.Marker
    /// Number and chain of the last edit that counts.
    package var lastEdit: LSN
    package var chain: UInt64
    /// `.clean` or `.tornTail`.
    package var tail: TailDecision
}

/// Finds the manifest that counts and reads it from its snapshot to its last edit. Never writes. Torn tail or damage is told by the same
/// rule as in the log: see `TailDecision`.
package enum ManifestReader {
    /// Nil when the directory holds no store yet.
    package static func read(directory: String, fileSystem: any FileSystem) throws(StorageError) -> RecoveredManifest? {
        let names = try fileSystem.list(directory)
        guard let marker = names.compactMap(ManifestFileName.marker).max(by: { $0.iteration < $1.iteration }) else {
            try checkNeverUsed(names.compactMap(ManifestFileName.manifestID), directory, fileSystem)
            return nil
        }
        let path = Path.join(directory, ManifestFileName.manifest(marker.manifestID))
        guard fileSystem.exists(path) else { throw damage(path, 0, nil, "the marker names it, and it is missing") }
        return try read(path: path, marker: marker, fileSystem: fileSystem)
    }

    /// What every report of manifest damage tells the reader to do.
    static func remedy(_ directory: String) -> String {
        "Nothing was changed. `nexadb check \(directory)` shows what is readable; restore a backup or copy from a replica."
    }

    /// A crash while a store is created leaves a first manifest, whole or not, and no marker. More than that without a marker means that
    /// the marker was lost, and starting afresh would bury the data.
    private static func checkNeverUsed(_ ids: [UInt64], _ directory: String, _ fileSystem: any FileSystem) throws(StorageError) {
        for id in ids {
            let path = Path.join(directory, ManifestFileName.manifest(id))
            let marker = ManifestFileName.Marker(iteration: 0, manifestID: id)
            let isFirstSnapshot: Bool
            do {
                let found = try read(path: path, marker: marker, fileSystem: fileSystem)
                isFirstSnapshot = id == 1 && found.state.files.isEmpty && found.lastEdit == 1
            } catch .corruption {
                isFirstSnapshot = id == 1
            }
            guard isFirstSnapshot else { throw damage(path, 0, nil, "it holds a store, and no marker names it") }
        }
    }

    private static func read(
        path: String, marker: ManifestFileName.Marker, fileSystem: any FileSystem
    ) throws(StorageError) -> RecoveredManifest {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        let header = try readHeader(of: file, id: marker.manifestID)
        let byteCount = try file.byteCount()
        guard byteCount >= header.fileByteCount else {
            throw damage(path, byteCount, nil, "the file was cut: it had \(header.fileByteCount) bytes")
        }
        let scanner = LogScanner(
            file: file, fileID: marker.manifestID, from: UInt64(LogFileHeader.blockByteCount), limit: byteCount)
        var found = RecoveredManifest(
            state: ManifestState(), marker: marker, lastEdit: header.firstLSN - 1, chain: LogChain.start, tail: .clean)
        let stop = try readEdits(scanner, &found)
        // The marker was set after the snapshot was durable; the header remembers how many edits that are.
        var situation = TailDecision.Situation(
            stop: stop, lsn: found.lastEdit, chain: found.chain, provenLSN: max(header.previous.lsn, try scanner.witnessedLSN()))
        if stop.needsLookBehind {
            let remains = try scanner.remains(from: scanner.offset)
            situation.hasRecordsBehind = remains.headerCount > 0
            situation.durableLSNBehind = remains.durableLSNMax
        }
        found.tail = TailDecision.decide(situation)
        switch found.tail {
        case .clean, .tornTail: return found
        case .damaged(let reason): throw damage(path, scanner.offset, found.lastEdit, reason)
        case .refused(let reason): throw .unsupportedFormat(file: path, reason: "\(reason) at offset \(scanner.offset)")
        }
    }

    static func readHeader(of file: any File, id: UInt64) throws(StorageError) -> LogFileHeader {
        switch try LogFileHeader.read(from: file, kind: .manifest, fileID: id) {
        case .header(let header) where header.firstLSN > 0: return header
        case .header: throw damage(file.path, 0, nil, "edits are numbered from 1")
        case .unsupported(let reason): throw .unsupportedFormat(file: file.path, reason: reason)
        case .invalid(let reason): throw damage(file.path, 0, nil, reason)
        }
    }

    private static func readEdits(_ scanner: LogScanner, _ found: inout RecoveredManifest) throws(StorageError)
        -> TailDecision.Stop
    {
        while scanner.offset < scanner.limit {
            let (decoded, bytes) = try scanner.peek()
            switch decoded {
            case .record(let header):
                let payload = UnsafeRawBufferPointer(
                    rebasing: bytes[RecordHeader.byteCount..<RecordHeader.byteCount + Int(header.storedByteCount)])
                if let stop = accept(header, payload, &found) { return stop }
                scanner.move(to: scanner.offset + UInt64(header.recordByteCount))
            case .unsupported(_, let reason): return .unsupported(reason)
            case .fault(.zeros, _), .fault(.headerChecksum, _): return .blank
            case .fault(let fault, _): return .torn(fault)
            case .needsBytes: return .torn(.truncated)
            }
        }
        return .limit
    }

    /// Takes a whole record in; nil when reading goes on.
    private static func accept(
        _ header: RecordHeader, _ payload: UnsafeRawBufferPointer, _ found: inout RecoveredManifest
    ) -> TailDecision.Stop? {
        switch header.type {
        case nil: return nil
        case .mark:
            guard header.lsn == found.lastEdit, LogNote(payload)?.chain == found.chain else {
                return .contradiction("the chain noted here is not that of the edits before it")
            }
            return nil
        case .manifestEdit where header.codec == .raw:
            guard header.lsn == found.lastEdit + 1 else {
                return .contradiction("edit \(header.lsn) after edit \(found.lastEdit)")
            }
            switch VersionEdit.decode(payload, fieldCount: Int(header.operationCount)) {
            case .unsupported(let tag): return .unsupported("edit field \(tag)")
            case .malformed(let reason): return .contradiction("edit \(header.lsn): \(reason)")
            case .edit(let edit):
                if let reason = found.state.contradiction(of: edit) { return .contradiction("edit \(header.lsn): \(reason)") }
                found.state.apply(edit)
                found.lastEdit = header.lsn
                found.chain = LogChain.advanced(found.chain, by: header.recordHash)
                return nil
            }
        default: return .contradiction("a log record in a manifest")
        }
    }

    private static func damage(_ path: String, _ offset: UInt64, _ lsn: LSN?, _ reason: String) -> StorageError {
        .corruption(
            Corruption(file: path, offset: offset, lsn: lsn, reason: reason, remedy: remedy(Path.directory(of: path))))
    }
}
