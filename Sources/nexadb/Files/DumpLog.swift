import ArgumentParser
import NexaStorage
import NexaWire

/// `nexadb dump wal`: the records of a log segment.
struct DumpLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wal", abstract: "Show the records of a log segment.",
        discussion: """
            EXAMPLES
              nexadb dump wal data/wal/0000000000000001.wal
              nexadb dump wal --operations --from 1000 --to 1010 data/wal/0000000000000001.wal
            """)

    @OptionGroup var options: DumpOptions
    @Flag(help: "Show the operations of each batch.") var operations = false
    @Option(help: "First LSN to show.") var from: UInt64 = 0
    @Option(help: "Last LSN to show.") var to: UInt64 = .max

    func run() throws {
        try LogDump(
            path: options.file, isJSON: options.json, lsns: from...max(from, to), show: operations ? .operations : .records
        ).run()
    }
}

/// `nexadb dump manifest`: the edits of a manifest.
struct DumpManifest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manifest", abstract: "Show the edits of a manifest: which tables came and went.",
        discussion: """
            EXAMPLES
              nexadb dump manifest data/MANIFEST-0000000000000001
            """)

    @OptionGroup var options: DumpOptions

    func run() throws {
        try LogDump(path: options.file, isJSON: options.json, lsns: 0...UInt64.max, show: .edits).run()
    }
}

/// Prints the findings of `LogInspector`: a segment and a manifest have the same framing.
struct LogDump {
    enum Show { case records, operations, edits }

    let path: String
    let isJSON: Bool
    let lsns: ClosedRange<LSN>
    let show: Show

    func run() throws {
        let summary: LogInspector.Summary
        do throws(StorageError) {
            summary = try LogInspector.inspect(path: path, fileSystem: PosixFileSystem()) { finding in print(finding) }
        } catch {
            Console.complain(error.description)
            throw ToolExit.usage
        }
        let range = summary.firstLSN.flatMap { first in summary.lastLSN.map { "LSN \(first) to \($0)" } } ?? "no LSN"
        Console.note(
            "\(summary.recordCount) records, \(range), end at offset \(summary.endOffset)\(summary.hasEnd ? " (END)" : ""), "
                + "\(summary.problemCount) problems")
        if summary.problemCount > 0 { throw ToolExit.failed }
    }

    private func print(_ finding: LogFinding) {
        switch finding {
        case .header(let header): line("header", Self.fields(header))
        case .badHeader(let reason): line("DAMAGE", [.init("offset", 0), .init("reason", .string(reason))])
        case .record(let record, let payload):
            guard lsns.contains(record.header.lsn) else { return }
            line(record.header.type.map { "\($0)" } ?? "type \(record.header.rawType)", Self.fields(record))
            if let payload { printPayload(payload, record.header) }
        case .note(let record, let chainMatches):
            guard lsns.contains(record.header.lsn) || chainMatches == false else { return }
            var fields = Self.fields(record)
            fields.append(.init("chain_matches", chainMatches.map { .bool($0) } ?? nil))
            line(record.header.type.map { "\($0)" } ?? "note", fields)
        case .unsupported(let header, let offset, let reason):
            line("UNSUPPORTED", [Self.offset(offset), .init("lsn", Self.number(header.lsn)), .init("reason", .string(reason))])
        case .contradiction(let offset, let reason): line("DAMAGE", [Self.offset(offset), .init("reason", .string(reason))])
        case .damage(let offset, let byteCount, let fault):
            line("DAMAGE", [Self.offset(offset), .init("bytes", Self.number(byteCount)), .init("reason", .string("\(fault)"))])
        case .rest(let offset, let byteCount): line("rest", [Self.offset(offset), .init("bytes", Self.number(byteCount))])
        }
    }

    private func printPayload(_ payload: UnsafeRawBufferPointer, _ header: RecordHeader) {
        switch show {
        case .records: break
        case .edits: printEdit(payload, header)
        case .operations:
            guard header.type == .batch || header.type == .ddl else { return }
            var cursor = BatchCursor(payload)
            do throws(MalformedBatch) {
                while let operation = try cursor.next() {
                    line("", EntryText.entry(kind: operation.kind, key: operation.key, value: operation.value, lsn: nil))
                }
            } catch {
                line("DAMAGE", [.init("payload_offset", .int(Int64(error.offset))), .init("reason", "the batch breaks off")])
            }
        }
    }

    private func printEdit(_ payload: UnsafeRawBufferPointer, _ header: RecordHeader) {
        switch VersionEdit.decode(payload, fieldCount: Int(header.operationCount)) {
        case .edit(let edit): for fields in Self.lines(edit) { line("", fields) }
        case .unsupported(let tag): line("", [.init("unsupported_field", .int(Int64(tag)))])
        case .malformed(let reason): line("DAMAGE", [.init("reason", .string(reason))])
        }
    }

    /// One line: a name and fields, or one JSON object.
    private func line(_ name: String, _ fields: [MessagePackValue.Entry]) {
        if isJSON {
            Console.say(JSONText.write(.map([.init("kind", .string(name.isEmpty ? "part" : name))] + fields)))
        } else {
            let text = fields.map { field in
                (field.key.stringValue ?? "") + " " + (field.value.stringValue ?? JSONText.write(field.value))
            }
            Console.say(Console.left(name, 14) + text.joined(separator: "  "))
        }
    }

    // MARK: Fields

    private static func number(_ value: UInt64) -> MessagePackValue { Int64(exactly: value).map { .int($0) } ?? .uint(value) }
    private static func offset(_ value: UInt64) -> MessagePackValue.Entry { .init("offset", number(value)) }

    private static func fields(_ header: LogFileHeader) -> [MessagePackValue.Entry] {
        [
            .init("file", .string(Hex.string(header.fileID))), .init("store", .string(header.storeUUID.description)),
            .init("first_lsn", number(header.firstLSN)), .init("epoch", number(header.epoch)),
            .init("previous", .string(Hex.string(header.previous.segmentID))),
            .init("previous_lsn", number(header.previous.lsn)), .init("previous_end", number(header.previous.offset)),
            .init("chain", .string(Hex.string(header.previous.chain))), .init("bytes", number(header.fileByteCount)),
        ]
    }

    private static func fields(_ record: LogRecord) -> [MessagePackValue.Entry] {
        let header = record.header
        return [
            offset(record.offset), .init("lsn", number(header.lsn)), .init("epoch", number(header.epoch)),
            .init("operations", .int(Int64(header.operationCount))), .init("stored", .int(Int64(header.storedByteCount))),
            .init("raw", .int(Int64(header.rawByteCount))),
            .init("codec", .string(header.codec.map { "\($0)" } ?? "\(header.rawCodec)")),
            .init("durable_lsn", number(header.durableLSN)), .init("hash", .string(Hex.string(header.recordHash))),
        ]
    }

    private static func lines(_ edit: VersionEdit) -> [[MessagePackValue.Entry]] {
        var lines: [[MessagePackValue.Entry]] = []
        for file in edit.added { lines.append([.init("added", .string(StoreLayout.tableName(file.number)))] + fields(file)) }
        for file in edit.removed {
            lines.append([.init("removed", .string(StoreLayout.tableName(file.number))), .init("level", .int(Int64(file.level)))])
        }
        for epoch in edit.epochs {
            lines.append([.init("epoch", number(epoch.epoch)), .init("first_lsn", number(epoch.firstLSN))])
        }
        if let mark = edit.durableMark {
            lines.append([
                .init("durable_mark", .string(Hex.string(mark.segmentID))), offset(mark.offset), .init("lsn", number(mark.lsn)),
                .init("chain", .string(Hex.string(mark.chain))),
            ])
        }
        let single: [(String, MessagePackValue?)] = [
            ("wal_low", edit.walLow.map { .string(Hex.string($0)) }), ("next_file", edit.nextFile.map(number)),
            ("flushed_lsn", edit.flushedLSN.map(number)), ("epochs_end", edit.epochsEnd.map(number)),
            ("store", edit.storeUUID.map { .string($0.description) }),
        ]
        for (name, value) in single { if let value { lines.append([.init(name, value)]) } }
        return lines
    }

    private static func fields(_ file: TableFile) -> [MessagePackValue.Entry] {
        [
            .init("level", .int(Int64(file.level))), .init("bytes", number(file.byteCount)),
            .init("entries", number(file.entryCount)), .init("tombstones", number(file.tombstoneCount)),
            .init("lsns", .array([number(file.smallestLSN), number(file.largestLSN)])),
            .init("smallest", .string(file.smallestKey.withUnsafeBytes(EntryText.key))),
            .init("largest", .string(file.largestKey.withUnsafeBytes(EntryText.key))),
            .init("digest", .string(Hex.string(file.digest))),
        ]
    }
}
