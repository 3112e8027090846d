/// Sizes of manifests.
package struct ManifestOptions: Sendable {
    /// A manifest has room for at least this much, and for twice its snapshot; when it is full it is replaced.
    package var byteCountMin: Int

    package init(byteCountMin: Int = 1 << 20) { self.byteCountMin = byteCountMin }
}

/// The only one who changes what a store consists of. Confined: one call at a time.
///
/// Invariants: when `append` returns, the edit survives a power cut; an edit is in the state only then; a manifest is named by a marker only
/// when its whole snapshot and its own name are durable. Old manifests are never written again: each start, and each failure that is
/// recovered from, begins a new one with a snapshot.
///
/// `@unchecked Sendable`: its owner hands it from thread to thread under its own lock.
package final class ManifestWriter: @unchecked Sendable {
    package private(set) var state: ManifestState
    package private(set) var marker: ManifestFileName.Marker
    private let directory: String
    private let fileSystem: any FileSystem
    private let options: ManifestOptions
    private var file: (any File)?
    private var offset: UInt64 = 0
    private var capacity: UInt64 = 0
    private var lastEdit: LSN
    private var chain = LogChain.start
    private var failure: StorageError?

    /// A new store, where `ManifestReader.read` found none. `initial` names its identity. Durable on return.
    package static func create(
        directory: String, fileSystem: any FileSystem, initial: VersionEdit, options: ManifestOptions = ManifestOptions()
    ) throws(StorageError) -> ManifestWriter {
        var state = ManifestState()
        precondition(state.contradiction(of: initial) == nil, "the first edit stands alone")
        state.apply(initial)
        let writer = ManifestWriter(
            state: state, marker: ManifestFileName.Marker(iteration: 0, manifestID: 0), lastEdit: 0, directory: directory,
            fileSystem: fileSystem, options: options)
        // A crash during an earlier creation can leave a manifest that never counted.
        for name in try fileSystem.list(directory) where ManifestFileName.manifestID(name) != nil {
            try fileSystem.remove(Path.join(directory, name))
        }
        try writer.rotate()
        return writer
    }

    /// Goes on behind what was read, in a new manifest. Durable on return.
    package static func start(
        after recovered: RecoveredManifest, directory: String, fileSystem: any FileSystem,
        options: ManifestOptions = ManifestOptions()
    ) throws(StorageError) -> ManifestWriter {
        let writer = ManifestWriter(
            state: recovered.state, marker: recovered.marker, lastEdit: recovered.lastEdit, directory: directory,
            fileSystem: fileSystem,
            options: options)
        try writer.rotate()
        return writer
    }

    private init(
        state: ManifestState, marker: ManifestFileName.Marker, lastEdit: LSN, directory: String, fileSystem: any FileSystem,
        options: ManifestOptions
    ) {
        self.state = state
        self.marker = marker
        self.lastEdit = lastEdit
        self.directory = directory
        self.fileSystem = fileSystem
        self.options = options
    }

    deinit { file?.close() }

    /// Makes the edit durable, then part of the state. After an error nothing can be appended until `restart`; whether the edit survives a
    /// crash is open then, so nothing that depends on the answer may be deleted.
    package func append(_ edit: VersionEdit) throws(StorageError) {
        if let failure { throw failure }
        if let reason = state.contradiction(of: edit) { preconditionFailure("manifest edit: \(reason)") }
        do throws(StorageError) {
            let record = ManifestWriter.record(of: edit, number: lastEdit + 1)
            if offset + UInt64(record.count + LogWriter.noteByteCount) > capacity {
                let before = state
                state.apply(edit)
                do throws(StorageError) { try rotate() } catch {
                    state = before
                    throw error
                }
                return
            }
            try write(record, durableEdit: lastEdit)
            try file!.sync()
            state.apply(edit)
        } catch {
            failure = error
            throw error
        }
        // The edit is durable, whatever becomes of the note behind it.
        do throws(StorageError) { try writeMark() } catch { failure = error }
    }

    /// Nothing can be appended until `restart`.
    package var hasFailed: Bool { failure != nil }

    /// Leaves a failed manifest behind and begins a new one with the state as it was before the failed edit.
    package func restart() throws(StorageError) {
        failure = nil
        do throws(StorageError) { try rotate() } catch {
            failure = error
            throw error
        }
    }

    package func close() {
        file?.close()
        file = nil
        failure = failure ?? .closed
    }
}

// MARK: - Records

extension ManifestWriter {
    /// The unsealed record of an edit.
    private static func record(of edit: VersionEdit, number: LSN) -> [UInt8] {
        let (payload, fieldCount) = edit.encoded()
        precondition(payload.count <= RecordHeader.storedByteCountMax, "an edit is beyond the limit of a record")
        var record = [UInt8](repeating: 0, count: RecordHeader.recordByteCount(storedByteCount: payload.count))
        record.withUnsafeMutableBytes { bytes in
            payload.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: bytes[RecordHeader.byteCount...]).copyMemory(from: source)
                RecordHeader.fill(
                    bytes.baseAddress!, type: .manifestEdit, lsn: number, epoch: 0, operationCount: UInt32(fieldCount),
                    storedByteCount: payload.count, rawByteCount: payload.count, payloadHash: RecordHeader.payloadHash(source))
            }
        }
        return record
    }

    private func write(_ record: [UInt8], durableEdit: LSN) throws(StorageError) {
        var record = record
        try record.withUnsafeMutableBytes { bytes in
            Result { () throws(StorageError) in
                RecordHeader.seal(bytes.baseAddress!, fileID: marker.manifestID, offset: offset, durableLSN: durableEdit)
                try file!.write(UnsafeRawBufferPointer(bytes), at: offset)
                lastEdit += 1
                chain = LogChain.advanced(chain, by: ByteOrder.loadLE(UnsafeRawPointer(bytes.baseAddress!), at: 16))
            }
        }.get()
        offset += UInt64(record.count)
    }

    /// Witnesses that the last edit was durable, behind it and in the witness slot; the next sync takes them along.
    private func writeMark() throws(StorageError) {
        var record = [UInt8](repeating: 0, count: LogWriter.noteByteCount)
        try record.withUnsafeMutableBytes { bytes in
            Result { () throws(StorageError) in
                LogNote(chain: chain).fill(bytes, type: .mark, lsn: lastEdit, epoch: 0)
                for place in [offset, LogNote.witnessOffset] {
                    RecordHeader.seal(bytes.baseAddress!, fileID: marker.manifestID, offset: place, durableLSN: lastEdit)
                    try file!.write(UnsafeRawBufferPointer(bytes), at: place)
                }
            }
        }.get()
        offset += UInt64(record.count)
    }
}

// MARK: - Rotation

extension ManifestWriter {
    /// Writes the state as the snapshot of a new manifest and points the marker at it.
    private func rotate() throws(StorageError) {
        let old = marker
        let next = ManifestFileName.Marker(iteration: old.iteration + 1, manifestID: try unusedID())
        let edits = state.snapshot()
        let records = edits.enumerated().map { ManifestWriter.record(of: $1, number: lastEdit + 1 + LSN($0)) }
        let snapshotByteCount = records.reduce(0) { $0 + $1.count }
        let path = Path.join(directory, ManifestFileName.manifest(next.manifestID))

        file?.close()
        let file = try fileSystem.open(path, .createNew)
        self.file = file
        capacity = UInt64(max(options.byteCountMin, LogFileHeader.blockByteCount + 2 * snapshotByteCount + 1024))
        try file.preallocate(capacity)
        let header = LogFileHeader(
            kind: .manifest, fileID: next.manifestID, firstLSN: lastEdit + 1,
            storeUUID: state.storeUUID ?? StoreUUID(high: 0, low: 0),
            previous: SegmentEnd(segmentID: old.manifestID, offset: 0, lsn: lastEdit + LSN(records.count), chain: LogChain.start),
            createdNanoseconds: wallClockNanoseconds(), fileByteCount: capacity)
        try header.encodedBlock().withUnsafeBytes { bytes in
            Result { () throws(StorageError) in try file.write(bytes, at: 0) }
        }.get()
        marker = next
        offset = UInt64(LogFileHeader.blockByteCount)
        chain = LogChain.start
        for record in records { try write(record, durableEdit: 0) }
        try file.sync()
        try fileSystem.syncDirectory(directory)
        try writeMark()

        try fileSystem.open(Path.join(directory, ManifestFileName.marker(next)), .createNew).close()
        try fileSystem.syncDirectory(directory)
        try removeOld()
    }

    /// An id above all manifests that are there, whether they ever counted or not.
    private func unusedID() throws(StorageError) -> UInt64 {
        let ids = try fileSystem.list(directory).compactMap(ManifestFileName.manifestID)
        return max(ids.max() ?? 0, marker.manifestID) + 1
    }

    private func removeOld() throws(StorageError) {
        for name in try fileSystem.list(directory) {
            let isOldMarker = ManifestFileName.marker(name).map { $0 != marker } ?? false
            let isOldManifest = ManifestFileName.manifestID(name).map { $0 != marker.manifestID } ?? false
            if isOldMarker || isOldManifest { try fileSystem.remove(Path.join(directory, name)) }
        }
    }
}
