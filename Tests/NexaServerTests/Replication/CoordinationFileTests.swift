import NexaReplication
import NexaServer
import NexaStorage
import NexaTestKit
import Testing

@Suite struct CoordinationFileTests {
    private var state: CoordinationState {
        var state = CoordinationState()
        state.clusterID = ClusterID(high: 0x0123_4567_89AB_CDEF, low: 7)
        state.promise = Promise(epoch: 12, leader: NodeID(name: "n2"))
        state.committed = 99
        return state
    }

    @Test func whatWasStoredIsLoadedAgain() throws {
        let files = CrashFileSystem()
        try files.createDirectory("/data")
        #expect(try CoordinationFile.load(directory: "/data", fileSystem: files) == nil)
        try CoordinationFile.store(state, directory: "/data", fileSystem: files)
        var later = state
        later.promise = Promise(epoch: 13, leader: nil)
        try CoordinationFile.store(later, directory: "/data", fileSystem: files)
        #expect(try CoordinationFile.load(directory: "/data", fileSystem: files) == later)
    }

    @Test(arguments: [Standing.member, .newcomer, .founder]) func keepsWhatANodesWordIsWorth(_ standing: Standing) {
        var kept = state
        kept.promise = Promise(epoch: 1 << 61, leader: NodeID(name: "n2"), standing: standing)
        #expect(CoordinationFile.encode(kept).withUnsafeBytes { CoordinationFile.decode($0) } == kept)
    }

    @Test func everyFlippedBitIsSeen() {
        let bytes = CoordinationFile.encode(state)
        #expect(bytes.withUnsafeBytes { CoordinationFile.decode($0) } == state)
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                #expect(damaged.withUnsafeBytes { CoordinationFile.decode($0) } == nil, "byte \(index) bit \(bit)")
            }
            #expect(bytes[..<index].withUnsafeBytes { CoordinationFile.decode($0) } == nil)
        }
    }

    @Test func aDamagedFileIsAnErrorAndNotAbsent() throws {
        let files = CrashFileSystem()
        try files.createDirectory("/data")
        try files.writeNew("/data/coordination", [1, 2, 3])
        #expect(throws: StorageError.self) { try CoordinationFile.load(directory: "/data", fileSystem: files) }
    }
}
