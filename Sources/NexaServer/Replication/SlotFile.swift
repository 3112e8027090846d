// The slots of a node over a restart: how far back the log is kept for whom. Beside `coordination`, written the same way (whole, synced,
// renamed), but nothing depends on it for safety: it may lag, and one that is damaged counts as absent, loudly.
//
//      0  8  magic "NXSLOTS\n"          8  4  how many
//     12     name length (1) | name | node, 0 when none (8) | first LSN that is needed (8) | lost (1) | microseconds away (8)   each
//      n  8  XXH3-64 of all before       integers are little-endian

import CSupport
import NexaReplication
import NexaStorage

package enum SlotFile {
    static let name = "slots"
    private static let magic: UInt64 = 0x0A53_544F_4C53_584E
    package static let slotCountMax = 64
    private static let byteCountMax = 64 << 10

    /// The slots kept in `directory`; none when there is no file.
    package static func load(directory: String, fileSystem: any FileSystem) throws(StorageError) -> [KeptSlot] {
        let path = Path.join(directory, name)
        guard fileSystem.exists(path) else { return [] }
        let bytes = try fileSystem.readAll(path, byteCountMax: byteCountMax)
        guard let slots = bytes.withUnsafeBytes({ decode($0) }) else {
            throw .corruption(
                Corruption(
                    file: path, offset: 0, reason: "it is not a list of slots",
                    remedy: "Followers that were away may need a snapshot; the next change writes the file anew"))
        }
        return slots
    }

    /// Returns when the slots survive a power cut. One caller at a time.
    package static func store(_ slots: [KeptSlot], directory: String, fileSystem: any FileSystem) throws(StorageError) {
        let path = Path.join(directory, name)
        let temporary = path + ".new"
        if fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
        try fileSystem.writeNew(temporary, encode(slots))
        try fileSystem.rename(temporary, to: path)
        try fileSystem.syncDirectory(directory)
    }

    package static func encode(_ slots: [KeptSlot]) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ number: UInt64, _ byteCount: Int = 8) {
            for index in 0..<byteCount { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
        }
        append(magic)
        append(UInt64(min(slots.count, slotCountMax)), 4)
        for slot in slots.prefix(slotCountMax) {
            let name = slot.name.utf8.prefix(ReplicationSlot.nameByteCountMax)
            append(UInt64(name.count), 1)
            bytes += name
            append(slot.node?.rawValue ?? 0)
            append(slot.restartLSN)
            append(slot.isLost ? 1 : 0, 1)
            append(slot.away)
        }
        append(bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) })
        return bytes
    }

    /// Nil when the bytes are not a whole list. Pure and total.
    package static func decode(_ bytes: UnsafeRawBufferPointer) -> [KeptSlot]? {
        guard bytes.count >= 20, let start = bytes.baseAddress else { return nil }
        var place = 0
        func number(_ byteCount: Int = 8) -> UInt64? {
            guard bytes.count - place >= byteCount else { return nil }
            defer { place += byteCount }
            return (0..<byteCount).reduce(0) { $0 | UInt64(bytes[place + $1]) << (8 * UInt64($1)) }
        }
        guard number() == magic, let count = number(4), count <= UInt64(slotCountMax) else { return nil }
        var slots: [KeptSlot] = []
        for _ in 0..<count {
            guard let length = number(1).map(Int.init), length <= ReplicationSlot.nameByteCountMax, bytes.count - place >= length
            else { return nil }
            let name = String(decoding: bytes[place..<place + length], as: UTF8.self)
            place += length
            guard let node = number(), let lsn = number(), let state = number(1), state <= 1, let away = number() else {
                return nil
            }
            slots.append(
                KeptSlot(
                    name: name, node: node == 0 ? nil : NodeID(rawValue: node), restartLSN: lsn, isLost: state == 1, away: away))
        }
        let hashed = place
        guard number() == nexa_xxh3(start, hashed, 0), place == bytes.count, Set(slots.map(\.name)).count == slots.count else {
            return nil
        }
        return slots
    }
}
