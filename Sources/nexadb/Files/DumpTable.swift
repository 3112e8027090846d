import ArgumentParser
import NexaStorage
import NexaWire

/// `nexadb dump sst`: the properties and entries of a table.
struct DumpTable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sst", abstract: "Show the properties of a table, and its entries.",
        discussion: """
            EXAMPLES
              nexadb dump sst data/sst/0000000000000007.sst
              nexadb dump sst --entries --limit 20 data/sst/0000000000000007.sst
            """)

    @OptionGroup var options: DumpOptions
    @Flag(help: "Show the entries, newest version of a key first.") var entries = false
    @Option(help: "Entries to show at most.") var limit: UInt64 = .max

    func run() throws {
        let reader: TableReader
        do throws(StorageError) {
            reader = try TableReader.open(path: options.file, fileSystem: PosixFileSystem(), cache: BlockCache(capacity: 1 << 20))
        } catch {
            Console.complain(error.description)
            if case .corruption = error { throw ToolExit.failed }
            throw ToolExit.usage
        }
        show("table", Self.properties(reader))
        for tombstone in reader.rangeTombstones.tombstones {
            tombstone.start.withUnsafeBytes { start in
                tombstone.end.withUnsafeBytes { end in
                    show("", EntryText.entry(kind: .rangeDelete, key: start, value: end, lsn: tombstone.lsn))
                }
            }
        }
        let damagedCount = showEntries(reader)
        if damagedCount == 0 {
            do throws(StorageError) { try reader.verify() } catch {
                Console.complain(error.description)
                throw ToolExit.failed
            }
            return Console.note("every byte checked, no damage")
        }
        Console.complain("\(damagedCount) damaged blocks; what is shown was read from the others")
        throw ToolExit.failed
    }

    /// Shows the entries in their order, with the damage where it lies; answers how many blocks are damaged.
    private func showEntries(_ reader: TableReader) -> Int {
        var shown: UInt64 = 0
        var damagedCount = 0
        let wanted = entries ? limit : 0
        reader.survey { entry in
            guard shown < wanted else { return false }
            show("", EntryText.entry(kind: entry.kind, key: entry.key, value: entry.value, lsn: entry.lsn))
            shown += 1
            return true
        } damage: { error in
            damagedCount += 1
            if case .corruption(let damage) = error {
                show("DAMAGE", [.init("offset", .int(Int64(clamping: damage.offset))), .init("reason", .string(damage.reason))])
            } else {
                show("DAMAGE", [.init("reason", .string(error.description))])
            }
        }
        return damagedCount
    }

    private func show(_ name: String, _ fields: [MessagePackValue.Entry]) {
        if options.json { return Console.say(JSONText.write(.map(fields))) }
        let text = fields.map { ($0.key.stringValue ?? "") + " " + ($0.value.stringValue ?? JSONText.write($0.value)) }
        Console.say((name.isEmpty ? "  " : name + "  ") + text.joined(separator: "  "))
    }

    private static func properties(_ reader: TableReader) -> [MessagePackValue.Entry] {
        let info = reader.info
        func number(_ value: UInt64) -> MessagePackValue { .int(Int64(clamping: value)) }
        return [
            .init("file", .string(StoreLayout.tableName(info.fileNumber))), .init("bytes", number(info.byteCount)),
            .init("entries", number(info.entryCount)), .init("tombstones", number(info.tombstoneCount)),
            .init("range_tombstones", number(info.rangeTombstoneCount)),
            .init("lsns", .array([number(info.lsnMin), number(info.lsnMax)])),
            .init("raw_key_bytes", number(info.rawKeyByteCount)), .init("raw_value_bytes", number(info.rawValueByteCount)),
            .init("smallest", .string(info.smallest.withUnsafeBytes(EntryText.key))),
            .init("largest", .string(info.largest.withUnsafeBytes(EntryText.key))),
            .init("digest", .string(Hex.string(info.digest))),
        ]
    }
}
