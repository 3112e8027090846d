import NexaStorage
import NexaTestKit
import Testing

@Suite struct LogInspectorTests {
    private let disk: CrashFileSystem
    private let fixture: LogFixture

    init() throws {
        disk = try LogFixture.emptyDisk()
        fixture = LogFixture(fileSystem: disk)
        let writer = try fixture.start()
        try writer.append([[1], [2], [3], [4]])
        try writer.sync()
        try writer.writeMark(durable: 4)
        try writer.close()
    }

    private func inspect(_ segmentID: UInt64 = 1) throws -> (LogInspector.Summary, [String]) {
        var lines: [String] = []
        let summary = try LogInspector.inspect(path: LogFixture.path(segmentID), fileSystem: disk) { finding in
            switch finding {
            case .header(let header): lines.append("header \(header.fileID)")
            case .badHeader: lines.append("bad header")
            case .record(let record, let payload): lines.append("record \(record.header.lsn) \(payload.map(Array.init) ?? [])")
            case .note(let record, let matches): lines.append("\(record.header.type!) \(matches.map(String.init) ?? "?")")
            case .unsupported(let header, _, _): lines.append("unsupported \(header.rawType)")
            case .contradiction(_, let reason): lines.append("contradiction: \(reason)")
            case .damage(let offset, let byteCount, let fault): lines.append("damage \(offset)+\(byteCount) \(fault)")
            case .rest: lines.append("rest")
            }
        }
        return (summary, lines)
    }

    @Test func listsEverythingOfAWholeSegment() throws {
        let (summary, lines) = try inspect()
        #expect(
            lines == ["header 1", "record 1 [1]", "record 2 [2]", "record 3 [3]", "record 4 [4]", "mark true", "end true"])
        #expect(summary.recordCount == 4 && summary.problemCount == 0 && summary.hasEnd && summary.lastLSN == 4)
    }

    @Test func goesOnBehindDamage() throws {
        var bytes = try disk.contents(LogFixture.path(1))
        bytes[4096 + 64 + 56] ^= 0x40
        bytes[4096 + 128 + 3] ^= 0x40
        try disk.setContents(LogFixture.path(1), bytes)
        let (summary, lines) = try inspect()
        #expect(
            lines == [
                "header 1", "record 1 [1]", "damage 4160+64 payloadHash", "damage 4224+64 headerChecksum",
                "contradiction: LSN 4 after LSN 1", "record 4 [4]", "mark ?", "end ?",
            ])
        #expect(summary.problemCount == 3)
    }

    @Test func inspectsWhatHasNoHeader() throws {
        var bytes = try disk.contents(LogFixture.path(1))
        bytes[0] = 0
        try disk.setContents(LogFixture.path(1), bytes)
        let (_, lines) = try inspect()
        #expect(lines.prefix(2) == ["bad header", "record 1 [1]"])
    }

    @Test func saysThatAFileWasCut() throws {
        var bytes = try disk.contents(LogFixture.path(1))
        bytes.removeLast(bytes.count - 4180)
        try disk.setContents(LogFixture.path(1), bytes)
        let (summary, lines) = try inspect()
        #expect(lines.contains { $0.hasPrefix("contradiction: the file was cut") })
        #expect(summary.recordCount == 1)
    }
}
