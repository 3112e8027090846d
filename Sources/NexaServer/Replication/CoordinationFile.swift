// What a node of a cluster remembers beside its log: the cluster, the highest epoch that it promised and to whom, and a commit point. A
// promise is spoken only when it is here; forgetting one could let two leaders commit.
//
//      0  8  magic "NXCOORD\n"
//      8 16  cluster id (big-endian)          24  8  promised epoch; standing (0 member, 1 newcomer, 2 founder) in its two highest bits
//     32  8  promised leader, 0 when none     40  8  committed LSN, a hint that may lag
//     48  8  XXH3-64 of bytes 0..<48          integers but the first are little-endian
//
// Written as a whole to a new name, synced, renamed, the directory synced: a crash leaves the old or the new one. A file that is
// damaged is refused, never taken for absent.

import CSupport
import NexaReplication
import NexaStorage

/// The content of the file.
package struct CoordinationState: Hashable, Sendable {
    package var clusterID = ClusterID.none
    package var promise = Promise(epoch: 0, leader: nil)
    package var committed: LSN = 0

    package init() {}
}

package enum CoordinationFile {
    static let byteCount = 56
    static let name = "coordination"
    private static let standingShift: UInt64 = 62
    private static let magic: UInt64 = 0x0A44_524F_4F43_584E

    /// The state kept in `directory`; nil when there is none.
    package static func load(directory: String, fileSystem: any FileSystem) throws(StorageError) -> CoordinationState? {
        let path = Path.join(directory, name)
        guard fileSystem.exists(path) else { return nil }
        let bytes = try fileSystem.readAll(path, byteCountMax: 4096)
        guard let state = bytes.withUnsafeBytes({ decode($0) }) else {
            throw .corruption(
                Corruption(
                    file: path, offset: 0, reason: "it is not the state of a cluster's node",
                    remedy:
                        "This node does not know any more what it promised. Take its data directory away and let it follow anew"))
        }
        return state
    }

    /// Returns when the state survives a power cut. One caller at a time.
    package static func store(
        _ state: CoordinationState, directory: String, fileSystem: any FileSystem
    ) throws(StorageError) {
        let path = Path.join(directory, name)
        let temporary = path + ".new"
        if fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
        try fileSystem.writeNew(temporary, encode(state))
        try fileSystem.rename(temporary, to: path)
        try fileSystem.syncDirectory(directory)
    }

    package static func encode(_ state: CoordinationState) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(of: magic.littleEndian, toByteOffset: 0, as: UInt64.self)
            buffer.storeBytes(of: state.clusterID.high.bigEndian, toByteOffset: 8, as: UInt64.self)
            buffer.storeBytes(of: state.clusterID.low.bigEndian, toByteOffset: 16, as: UInt64.self)
            let promised = state.promise.epoch | UInt64(state.promise.standing.rawValue) << standingShift
            buffer.storeBytes(of: promised.littleEndian, toByteOffset: 24, as: UInt64.self)
            buffer.storeBytes(of: (state.promise.leader?.rawValue ?? 0).littleEndian, toByteOffset: 32, as: UInt64.self)
            buffer.storeBytes(of: state.committed.littleEndian, toByteOffset: 40, as: UInt64.self)
            let hash = nexa_xxh3(buffer.baseAddress, 48, 0)
            buffer.storeBytes(of: hash.littleEndian, toByteOffset: 48, as: UInt64.self)
        }
        return bytes
    }

    /// Nil when the bytes are not a whole state. Pure and total.
    package static func decode(_ bytes: UnsafeRawBufferPointer) -> CoordinationState? {
        guard bytes.count == byteCount, word(bytes, 0).littleEndian == magic,
            word(bytes, 48).littleEndian == nexa_xxh3(bytes.baseAddress, 48, 0),
            let standing = Standing(rawValue: UInt8(word(bytes, 24).littleEndian >> standingShift))
        else { return nil }
        var state = CoordinationState()
        state.clusterID = ClusterID(high: word(bytes, 8).bigEndian, low: word(bytes, 16).bigEndian)
        let leader = word(bytes, 32).littleEndian
        state.promise = Promise(
            epoch: word(bytes, 24).littleEndian & (1 << standingShift - 1), leader: leader == 0 ? nil : NodeID(rawValue: leader),
            standing: standing)
        state.committed = word(bytes, 40).littleEndian
        return state
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
