import Foundation
import NexaStorage
import Testing

/// `nexadb check` and `nexadb dump` on stores that this test writes, whole and damaged.
@Suite struct FileToolTests {
    /// A closed store with `count` documents in a directory of its own; removed when `body` returns.
    private func withStore(count: Int, flushed: Bool = false, _ body: (URL) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-tools-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let engine = try Engine.open(directory: directory.path, fileSystem: PosixFileSystem(), options: EngineOptions())
        let batch = WriteBatch()
        for index in 0..<count {
            batch.removeAll()
            // Collection 7, then the key; a flags byte, then {"n": index}.
            let key: [UInt8] = [0, 0, 0, 7] + Array("key\(index)".utf8)
            let value: [UInt8] = [0, 0x81, 0xA1, UInt8(ascii: "n"), UInt8(index % 128)]
            key.withUnsafeBytes { key in value.withUnsafeBytes { batch.put(key: key, value: $0) } }
            _ = try engine.commit(batch, durability: .os)
        }
        if flushed { try engine.flush() }
        try engine.close()
        try body(directory)
    }

    private func files(_ directory: URL, _ folder: String, _ ending: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: directory.appendingPathComponent(folder), includingPropertiesForKeys: nil)
            .filter { $0.lastPathComponent.hasSuffix(ending) }.sorted { $0.path < $1.path }
    }

    private func flip(_ file: URL, at offset: Int) throws {
        let handle = try FileHandle(forUpdating: file)
        defer { try? handle.close() }
        try handle.seek(toOffset: UInt64(offset))
        let byte = try #require(try handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: Data([byte ^ 0x40]))
    }

    @Test func aWholeStorePasses() throws {
        try withStore(count: 50) { directory in
            let outcome = try Tool.run("check", directory.path)
            #expect(outcome.code == 0, "\(outcome.output) \(outcome.errors)")
            #expect(outcome.output.contains("50 records to replay") && outcome.output.hasSuffix("ok: every byte is whole\n"))
        }
    }

    @Test func writesThatWereCutOffAreListedAndExported() throws {
        try withStore(count: 20) { directory in
            #expect(try Tool.run("rollback", "list", directory.path).output.isEmpty)
            _ = try LogTruncation.truncate(
                directory: directory.path, fileSystem: PosixFileSystem(), after: LogPosition(epoch: 1, lsn: 17))
            let list = try Tool.run("rollback", "list", directory.path)
            #expect(list.code == 0 && list.output.hasPrefix("1-18-20.nxr  epoch 1  LSN 18 to 20  3 records"))
            let export = try Tool.run("rollback", "export", directory.path)
            #expect(export.code == 0)
            let lines = export.output.split(separator: "\n")
            #expect(lines.count == 3)
            #expect(lines.first == #"{"lsn": 18, "epoch": 1, "op": "put", "key": "7/key17", "document": {"n": 17}}"#)
            // On a full disk it is not cut short in silence.
            let full = try Tool.run(arguments: ["rollback", "export", directory.path], printingTo: "/dev/full")
            #expect(full.code == 1 && full.errors == "nexadb: cannot write the output: No space left on device\n")
            // The store is whole, and shorter.
            let check = try Tool.run("check", directory.path)
            #expect(check.code == 0 && check.output.contains("17 records to replay"), "\(check.output)")

            try flip(try #require(try files(directory, "rollback", ".nxr").first), at: 150)
            #expect(try Tool.run("rollback", "export", directory.path).code == 1)
            #expect(try Tool.run("rollback", "export", "--file", "none.nxr", directory.path).code == 2)
        }
    }

    @Test func damageInTheLogIsFoundWithItsPlace() throws {
        try withStore(count: 50) { directory in
            let segment = try #require(try files(directory, "wal", ".wal").first)
            try flip(segment, at: 4096 + 60)
            let outcome = try Tool.run("check", directory.path)
            #expect(outcome.code == 1)
            #expect(outcome.output.contains("DAMAGE") && outcome.output.contains(segment.lastPathComponent))
            let dump = try Tool.run("dump", "wal", segment.path)
            #expect(dump.code == 1)
            // The dump goes on behind the damage.
            #expect(dump.output.contains("DAMAGE        offset 4096") && dump.output.contains("lsn 50 "))
        }
    }

    @Test func damageInATableIsFound() throws {
        try withStore(count: 200, flushed: true) { directory in
            let table = try #require(try files(directory, "sst", ".sst").first)
            #expect(try Tool.run("check", directory.path).code == 0)
            #expect(try Tool.run("dump", "sst", table.path).code == 0)
            try flip(table, at: 100)
            let outcome = try Tool.run("check", directory.path)
            #expect(outcome.code == 1)
            #expect(outcome.output.contains(table.lastPathComponent))
            #expect(try Tool.run("dump", "sst", table.path).code == 1)
        }
    }

    @Test func aDumpOfATableGoesOnBehindADamagedBlock() throws {
        // Enough for several blocks of 16 KiB.
        try withStore(count: 3000, flushed: true) { directory in
            let table = try #require(try files(directory, "sst", ".sst").first)
            let whole = try Tool.run("dump", "sst", "--entries", "--limit", "200000", table.path)
            let entries = whole.output.split(separator: "\n").filter { $0.contains("op put") }
            #expect(entries.count == 3000)
            try flip(table, at: 100)
            let outcome = try Tool.run("dump", "sst", "--entries", table.path)
            #expect(outcome.code == 1)
            let lines = outcome.output.split(separator: "\n")
            let damage = try #require(lines.firstIndex { $0.hasPrefix("DAMAGE  offset 0 ") })
            // The first block is lost, and what follows is what stood behind it.
            let rest = lines[(damage + 1)...]
            #expect(rest.count > 1000 && rest.count < 3000)
            #expect(Array(rest) == Array(entries.suffix(rest.count)))
            #expect(outcome.errors.contains("1 damaged blocks"))
        }
    }

    @Test func damageInTheManifestIsFoundAndTheRestStillChecked() throws {
        try withStore(count: 200, flushed: true) { directory in
            let manifest = try #require(try files(directory, "", "").first { $0.lastPathComponent.hasPrefix("MANIFEST-") })
            #expect(try Tool.run("dump", "manifest", manifest.path).code == 0)
            try flip(manifest, at: 20)
            let outcome = try Tool.run("check", "--json", directory.path)
            #expect(outcome.code == 1)
            let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
            #expect(report["ok"] as? Bool == false)
            #expect(report["tables"] as? Int == 1)
        }
    }

    @Test func showsOperationsAndEntries() throws {
        try withStore(count: 3, flushed: true) { directory in
            let segment = try #require(try files(directory, "wal", ".wal").first)
            let log = try Tool.run("dump", "wal", "--operations", "--from", "2", "--to", "2", segment.path)
            #expect(log.output.contains(#"op put  key 7/key1  document {"n": 1}"#))
            #expect(!log.output.contains("key 7/key0"))
            let table = try #require(try files(directory, "sst", ".sst").first)
            let entries = try Tool.run("dump", "sst", "--entries", "--json", table.path)
            #expect(entries.output.contains(#"{"op": "put", "key": "7/key2", "lsn": 3, "document": {"n": 2}}"#))
        }
    }

    @Test func whatIsInUseOrNoStoreIsNotChecked() throws {
        try withStore(count: 1) { directory in
            let engine = try Engine.open(directory: directory.path, fileSystem: PosixFileSystem(), options: EngineOptions())
            let used = try Tool.run("check", directory.path)
            #expect(used.code == 2 && used.errors.contains("in use"))
            try engine.close()
            let none = try Tool.run("check", directory.appendingPathComponent("wal").path)
            #expect(none.code == 2 && none.errors.contains("holds no store"))
        }
    }
}
