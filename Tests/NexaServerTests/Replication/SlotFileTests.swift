import NexaReplication
import NexaServer
import NexaStorage
import NexaTestKit
import Testing

@Suite struct SlotFileTests {
    private let slots = [
        KeptSlot(name: "n2", node: NodeID(name: "n2"), restartLSN: 77, isLost: false, away: 5),
        KeptSlot(name: "räv", node: nil, restartLSN: .max, isLost: true, away: .max),
    ]

    @Test func whatWasStoredIsLoadedAgain() throws {
        let files = CrashFileSystem()
        try files.createDirectory("/data")
        #expect(try SlotFile.load(directory: "/data", fileSystem: files) == [])
        try SlotFile.store(slots, directory: "/data", fileSystem: files)
        #expect(try SlotFile.load(directory: "/data", fileSystem: files) == slots)
        try SlotFile.store([], directory: "/data", fileSystem: files)
        #expect(try SlotFile.load(directory: "/data", fileSystem: files) == [])
    }

    @Test func everyFlippedBitAndEveryCutIsSeen() {
        let bytes = SlotFile.encode(slots)
        #expect(bytes.withUnsafeBytes { SlotFile.decode($0) } == slots)
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                #expect(damaged.withUnsafeBytes { SlotFile.decode($0) } == nil, "byte \(index) bit \(bit)")
            }
            #expect(bytes[..<index].withUnsafeBytes { SlotFile.decode($0) } == nil)
        }
        #expect((bytes + [0]).withUnsafeBytes { SlotFile.decode($0) } == nil)
    }

    @Test func aDamagedFileIsAnErrorAndNotAbsent() throws {
        let files = CrashFileSystem()
        try files.createDirectory("/data")
        try files.writeNew("/data/slots", [1, 2, 3])
        #expect(throws: StorageError.self) { try SlotFile.load(directory: "/data", fileSystem: files) }
    }

    @Test func onlySoManySlotsAreKept() {
        let many = (0..<200).map { KeptSlot(name: "n\($0)", node: nil, restartLSN: 1, isLost: false, away: 0) }
        let bytes = SlotFile.encode(many)
        #expect(bytes.withUnsafeBytes { SlotFile.decode($0) } == Array(many.prefix(SlotFile.slotCountMax)))
    }
}
