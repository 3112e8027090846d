/// What a store consists of after all edits: the manifest's own view, from which the engine builds its first version.
package struct ManifestState: Equatable, Sendable {
    package var storeUUID: StoreUUID?
    /// By file number.
    package var files: [UInt64: TableFile] = [:]
    /// 0: no log segment is needed.
    package var walLow: UInt64 = 0
    package var nextFile: UInt64 = 1
    package var flushedLSN: LSN = 0
    /// Ascending.
    package var epochs: [EpochStart] = []
    package var durableMark: DurableMark?

    package init() {}

    /// Why this edit cannot follow; nil when it can. What it removes must be there and what it adds must not, positions never fall, and
    /// file numbers stay below `nextFile`.
    package func contradiction(of edit: VersionEdit) -> String? {
        var removed: Set<UInt64> = []
        for file in edit.removed {
            guard let found = files[file.number], found.level == file.level, removed.insert(file.number).inserted else {
                return "it removes table \(file.number) of level \(file.level), which is not there"
            }
        }
        let nextFile = max(edit.nextFile ?? self.nextFile, self.nextFile)
        var added: Set<UInt64> = []
        for file in edit.added {
            guard files[file.number] == nil || removed.contains(file.number), added.insert(file.number).inserted else {
                return "it adds table \(file.number), which is there already"
            }
            guard file.number < nextFile else { return "it adds table \(file.number), and numbers end at \(nextFile)" }
        }
        if let uuid = edit.storeUUID, let own = storeUUID, uuid != own { return "it belongs to store \(uuid)" }
        if let number = edit.nextFile, number < self.nextFile { return "the next file number falls" }
        if let walLow = edit.walLow, walLow < self.walLow { return "the lowest log segment falls" }
        if let lsn = edit.flushedLSN, lsn < flushedLSN { return "the flushed LSN falls" }
        return epochContradiction(of: edit)
    }

    private func epochContradiction(of edit: VersionEdit) -> String? {
        var last = keptEpochs(edit).last
        for start in edit.epochs {
            if let last, start.epoch <= last.epoch || start.firstLSN < last.firstLSN {
                return "epoch \(start.epoch) is out of order"
            }
            last = start
        }
        return nil
    }

    private func keptEpochs(_ edit: VersionEdit) -> [EpochStart] {
        edit.epochsEnd.map { epochs.kept(through: $0) } ?? epochs
    }

    /// Takes an edit in that does not contradict. A table that is removed and added in one edit has moved to another level.
    package mutating func apply(_ edit: VersionEdit) {
        for file in edit.removed { files[file.number] = nil }
        for file in edit.added { files[file.number] = file }
        storeUUID = edit.storeUUID ?? storeUUID
        walLow = edit.walLow ?? walLow
        nextFile = edit.nextFile ?? nextFile
        flushedLSN = edit.flushedLSN ?? flushedLSN
        durableMark = edit.durableMark ?? durableMark
        epochs = keptEpochs(edit) + edit.epochs
    }

    /// Edits that lead from nothing to this state, each of a bounded size. At least one.
    package func snapshot(filesPerEdit: Int = 4096) -> [VersionEdit] {
        var first = VersionEdit()
        first.storeUUID = storeUUID
        first.walLow = walLow
        first.nextFile = nextFile
        first.flushedLSN = flushedLSN
        first.epochs = epochs
        first.durableMark = durableMark
        var edits = [first]
        let numbers = files.keys.sorted()
        for start in stride(from: 0, to: numbers.count, by: filesPerEdit) {
            if start > 0 { edits.append(VersionEdit()) }
            edits[edits.count - 1].added = numbers[start..<min(start + filesPerEdit, numbers.count)].map { files[$0]! }
        }
        return edits
    }

    /// What the manifest can testify about the log.
    package var logEvidence: DurableEvidence {
        DurableEvidence(walLow: walLow, flushedLSN: flushedLSN, mark: durableMark)
    }
}
