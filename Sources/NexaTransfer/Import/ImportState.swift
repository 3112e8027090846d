import NexaWire

/// What a state file keeps of an import: who it is, what it reads, and what is surely done.
///
/// Invariant: all records before `position` are in the collection or among the rejects, and no batch from `mayBeSent` on was ever sent.
/// Those between are in doubt: they are sent again, and what is found there already is counted, not doubled.
package struct ImportState: Equatable, Sendable {
    static let version: Int64 = 1
    /// Larger is no number of an import, and would not be when some are added up: the state was edited.
    private static let numberMax: UInt64 = 1 << 53
    /// An `op_id` has 44 bits for the number of a batch.
    private static let batchMax: UInt64 = 1 << 43

    package var id: ImportID
    package var input: InputIdentity
    package var settings: [String: String]
    package var position: ImportPosition
    package var counts = ImportCounts()
    /// Number of the first batch that has not been sent by anybody.
    package var mayBeSent: UInt64
    package var rejects: RejectsFile.Mark?

    /// As JSON, which a person can read.
    package var text: String {
        func number(_ value: UInt64) -> MessagePackValue { .int(Int64(value)) }
        var fields: MessagePackValue = [
            "version": .int(Self.version), "import_id": .string(id.text),
            "input": [
                "bytes": input.byteCount.map(number) ?? .null, "modified_ns": input.modifiedNanoseconds.map { .int($0) } ?? .null,
                "prefix_bytes": .int(Int64(input.prefixByteCount)), "prefix_hash": .uint(input.prefixHash),
            ],
            "settings": .map(settings.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) }),
            "position": ["batch": number(position.batch), "offset": number(position.offset), "record": number(position.record)],
            "counts": [
                "written": number(counts.written), "present": number(counts.present), "rejected": number(counts.rejected),
            ],
            "may_be_sent": number(mayBeSent),
        ]
        if let rejects, case .map(let entries) = fields {
            func part(_ part: RejectsFile.Mark.Part) -> MessagePackValue {
                ["inode": .uint(part.inode), "bytes": number(part.byteCount)]
            }
            let mark: MessagePackValue = [
                "path": .string(rejects.path), "records": part(rejects.records), "reasons": part(rejects.reasons),
            ]
            fields = .map(entries + [.init("rejects", mark)])
        }
        return JSONText.write(fields, indent: 2) + "\n"
    }

    package init(
        id: ImportID, input: InputIdentity, settings: [String: String], position: ImportPosition,
        counts: ImportCounts = ImportCounts(),
        mayBeSent: UInt64, rejects: RejectsFile.Mark? = nil
    ) {
        self.id = id
        self.input = input
        self.settings = settings
        self.position = position
        self.counts = counts
        self.mayBeSent = mayBeSent
        self.rejects = rejects
    }

    /// Whether `text` is the state of an import, of this version or another.
    static func isOne(_ text: String) -> Bool { Self.fields(text).flatMap(Self.importID) != nil }

    private static func fields(_ text: String) -> MessagePackValue? {
        (try? JSONParser.parse(text)).flatMap { try? MessagePackValue(decoding: $0) }
    }

    private static func importID(_ fields: MessagePackValue) -> ImportID? {
        fields["import_id"]?.stringValue.flatMap(ImportID.init)
    }

    /// nil when `text` is no state of this version.
    package init?(text: String) {
        guard let fields = Self.fields(text) else { return nil }
        func number(_ path: String..., max: UInt64 = Self.numberMax) -> UInt64? {
            var value: MessagePackValue? = fields
            for name in path { value = value?[name] }
            return value?.intValue.flatMap { UInt64(exactly: $0) }.flatMap { $0 <= max ? $0 : nil }
        }
        guard fields["version"]?.intValue == Self.version, let id = Self.importID(fields),
            let prefixByteCount = number("input", "prefix_bytes"), let hash = fields["input"]?["prefix_hash"],
            let batch = number("position", "batch", max: Self.batchMax), let offset = number("position", "offset"),
            let record = number("position", "record"), let written = number("counts", "written"),
            let present = number("counts", "present"), let rejected = number("counts", "rejected"),
            let mayBeSent = number("may_be_sent", max: Self.batchMax), mayBeSent >= batch,
            let settings = fields["settings"]?.mapValue
        else { return nil }
        self.id = id
        input = InputIdentity(
            byteCount: number("input", "bytes"), modifiedNanoseconds: fields["input"]?["modified_ns"]?.intValue,
            prefixByteCount: Int(prefixByteCount), prefixHash: Self.unsigned(hash))
        self.settings = [:]
        for entry in settings { self.settings[entry.key.stringValue ?? ""] = entry.value.stringValue ?? "" }
        position = ImportPosition(batch: batch, offset: offset, record: record)
        counts = ImportCounts(written: written, present: present, rejected: rejected)
        self.mayBeSent = mayBeSent
        func part(_ name: String) -> RejectsFile.Mark.Part? {
            guard let inode = fields["rejects"]?[name]?["inode"], let byteCount = number("rejects", name, "bytes") else {
                return nil
            }
            return RejectsFile.Mark.Part(inode: Self.unsigned(inode), byteCount: byteCount)
        }
        if let path = fields["rejects"]?["path"]?.stringValue, let records = part("records"), let reasons = part("reasons") {
            rejects = RejectsFile.Mark(path: path, records: records, reasons: reasons)
        }
    }

    private static func unsigned(_ value: MessagePackValue) -> UInt64 {
        if case .uint(let number) = value { return number }
        return UInt64(bitPattern: value.intValue ?? 0)
    }

    /// Why an import of `input` with `settings` cannot go on from here; nil when it can.
    package func objection(_ input: InputIdentity, _ settings: [(name: String, value: String)]) -> String? {
        if let difference = input.difference(from: self.input) {
            return "the input is not the one that was read before: \(difference)"
        }
        let changed = settings.filter { self.settings[$0.name] != $0.value }.map(\.name)
        return changed.isEmpty ? nil : "\(changed.joined(separator: ", ")) is not what it was when the import began"
    }
}
