import NexaStorage
import NexaTestKit
import Testing

@Suite struct FaultFileSystemTests {
    private let disk = CrashFileSystem()

    private func write(_ file: any File, _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { buffer in Result { () throws(StorageError) in try file.write(buffer, at: 0) } }.get()
    }

    @Test func theNthCallOnMatchingPathsFailsOnce() throws {
        let faulty = FaultFileSystem(disk, rules: [FaultRule(.sync, pathSuffix: ".wal", nth: 2, effect: .fail(errno: 5))])
        let (wal, other) = (try faulty.open("/a.wal", .createNew), try faulty.open("/b", .createNew))
        try wal.sync()
        try other.sync()
        #expect(failure { try wal.sync() } == .io(operation: "fdatasync", path: "/a.wal", errno: 5))
        try wal.sync()
        #expect(faulty.count(of: .sync) == 4 && faulty.faultCount == 1)
    }

    @Test func aShortWriteLeavesItsBeginning() throws {
        let faulty = FaultFileSystem(disk, rules: [FaultRule(.write, effect: .short(byteCount: 2, errno: 28))])
        let file = try faulty.open("/a", .createNew)
        #expect(failure { try write(file, [1, 2, 3]) } == .io(operation: "pwrite", path: "/a", errno: 28))
        #expect(try disk.contents("/a") == [1, 2])
    }

    @Test func aDroppedCallAnswersSuccess() throws {
        let faulty = FaultFileSystem(
            disk, rules: [FaultRule(.write, nth: 2, effect: .drop), FaultRule(.sync, count: .max, effect: .drop)])
        let file = try faulty.open("/a", .createNew)
        try write(file, [1])
        try write(file, [2])
        try file.sync()
        try faulty.syncDirectory("/")
        #expect(try disk.contents("/a") == [1])
        #expect(try disk.crashClone(keepUnsynced: 0, seed: 1).contents("/a") == [])
    }

    @Test func bitsFlipOnTheWayInAndOut() throws {
        let faulty = FaultFileSystem(disk, rules: [FaultRule(.write, effect: .flip(byte: 1, mask: 0x10))])
        let file = try faulty.open("/a", .createNew)
        try write(file, [1, 2, 3])
        #expect(try disk.contents("/a") == [1, 0x12, 3])
        faulty.add(FaultRule(.read, effect: .flip(byte: 0, mask: 0x80)))
        #expect(try faulty.readAll("/a") == [0x81, 0x12, 3])
        #expect(try faulty.readAll("/a") == [1, 0x12, 3])
    }

    @Test func theHookSeesEveryCallBeforeItHappens() throws {
        let calls = Calls()
        let faulty = FaultFileSystem(disk) { operation, path, number in calls.all.append("\(number) \(operation) \(path)") }
        try faulty.writeNew("/a", [1])
        try faulty.syncDirectory("/")
        #expect(calls.all == ["1 open /a", "2 write /a", "3 sync /a", "4 syncDirectory /"])
    }

    /// Confined to the test's thread.
    private final class Calls: @unchecked Sendable { var all: [String] = [] }
}
