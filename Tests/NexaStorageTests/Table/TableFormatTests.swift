import CSupport
import Foundation
import NexaStorage
import NexaTestKit
import Testing

/// The golden vectors of docs/formats/sstable.md, which an independent program made: what this code writes is exactly that, and what it
/// reads from there is what went in.
@Suite struct TableFormatTests {
    private static let entries = [
        TestEntry(key: Array("apple".utf8), lsn: 7, value: Array("red".utf8)),
        TestEntry(key: Array("apple".utf8), lsn: 3, kind: .delete),
        TestEntry(key: Array("apricot".utf8), lsn: 9, value: Array("x".utf8)),
    ]
    private static let tombstones = [RangeTombstone(start: Array("b".utf8), end: Array("c".utf8), lsn: 12)]

    /// The bytes of the fenced block "hex NAME" of the page; what follows ";" is a comment.
    private func golden(_ name: String) throws -> [UInt8] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/formats/sstable.md"), encoding: .utf8)
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex(of: "```hex \(name)"))
        let bytes = lines[(start + 1)...].prefix { $0 != "```" }.flatMap { line in
            line.prefix { $0 != ";" }.split(separator: " ").map { UInt8($0, radix: 16) }
        }
        return try bytes.map { try #require($0) }
    }

    @Test func rawBlockIsAsDocumented() throws {
        #expect(RawBlock.build(Self.entries, restartInterval: 2) == (try golden("block")))
    }

    @Test func trailerIsAsDocumented() throws {
        let raw = try golden("block")
        var stored = [UInt8](repeating: 0, count: nexa_codec_stored_max(raw.count))
        var count = 0
        #expect(
            nexa_block_store(nil, 1, raw, raw.count, TableFixture.fileContext, 4096, &stored, stored.count, &count) == NEXA_OK)
        #expect(Array(stored[..<count]) == raw + (try golden("trailer")))
    }

    @Test func filterIsAsDocumented() throws {
        let hashes = ["apple", "apricot"].map { key in Array(key.utf8).withUnsafeBytes { filterHash($0) } }
        var bytes = [UInt8](repeating: 0, count: nexa_bloom_byte_count(2, 10))
        #expect(nexa_bloom_build(hashes, 2, 10, &bytes, bytes.count) == NEXA_OK)
        #expect(bytes == (try golden("filter")))
    }

    @Test func tableIsAsDocumentedAndReadsBack() throws {
        var options = TableOptions()
        options.compresses = false
        options.storeUUID = StoreUUID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
        let fixture = TableFixture()
        let model = EntryModel(entries: Self.entries, tombstones: Self.tombstones)
        try fixture.write(model, options: options)
        #expect(try fixture.fileSystem.contents(TableFixture.path) == golden("table"))

        try fixture.fileSystem.writeNew("/golden.sst", golden("table"))
        let table = try fixture.open("/golden.sst")
        #expect(try table.makeIterator().collect() == Self.entries)
        #expect(table.rangeTombstones.tombstones == Self.tombstones)
        try table.verify()
    }
}
