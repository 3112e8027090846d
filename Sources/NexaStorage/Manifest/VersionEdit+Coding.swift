/// An edit is a list of fields, each `varint tag | varint length | bytes`. A reader steps over even tags that it does not know and refuses
/// odd ones. Integers inside are varints unless a width is given; fixed ones are little-endian.
///
///     1  store uuid      16 bytes, big-endian
///     2  durable mark    segment | offset | lsn | chain (8)
///     3  added table     level | number | byte count | key length | smallest key | key length | largest key | smallest lsn | largest lsn |
///                        entries | tombstones | range tombstones | file context (8) | digest (8)
///     5  removed table   level | number
///     7  lowest log segment        9  next file number        11  flushed lsn
///    13  epoch           epoch | first lsn                        15  end of epochs   lsn
extension VersionEdit {
    enum Tag {
        static let storeUUID: UInt64 = 1
        static let durableMark: UInt64 = 2
        static let added: UInt64 = 3
        static let removed: UInt64 = 5
        static let walLow: UInt64 = 7
        static let nextFile: UInt64 = 9
        static let flushedLSN: UInt64 = 11
        static let epoch: UInt64 = 13
        static let epochsEnd: UInt64 = 15
    }

    /// L6, the last one (`Version.levelCount`).
    static let levelMax: UInt64 = 6

    package enum Decoded: Equatable, Sendable {
        case edit(VersionEdit)
        /// Written by a newer program, with a field that must not be ignored.
        case unsupported(tag: UInt64)
        case malformed(String)
    }

    /// The payload of a manifest record, and how many fields it has.
    package func encoded() -> (bytes: [UInt8], fieldCount: Int) {
        var encoder = FieldEncoder()
        if let storeUUID {
            encoder.field(Tag.storeUUID) {
                $0.appendBE(storeUUID.high)
                $0.appendBE(storeUUID.low)
            }
        }
        for file in removed {
            encoder.field(Tag.removed) {
                $0.appendVarint(UInt64(file.level))
                $0.appendVarint(file.number)
            }
        }
        for file in added { encoder.field(Tag.added) { file.encode(into: &$0) } }
        if let walLow { encoder.field(Tag.walLow) { $0.appendVarint(walLow) } }
        if let nextFile { encoder.field(Tag.nextFile) { $0.appendVarint(nextFile) } }
        if let flushedLSN { encoder.field(Tag.flushedLSN) { $0.appendVarint(flushedLSN) } }
        if let epochsEnd { encoder.field(Tag.epochsEnd) { $0.appendVarint(epochsEnd) } }
        for start in epochs {
            encoder.field(Tag.epoch) {
                $0.appendVarint(start.epoch)
                $0.appendVarint(start.firstLSN)
            }
        }
        if let durableMark {
            encoder.field(Tag.durableMark) {
                $0.appendVarint(durableMark.segmentID)
                $0.appendVarint(durableMark.offset)
                $0.appendVarint(durableMark.lsn)
                $0.appendLE(durableMark.chain)
            }
        }
        return (encoder.bytes, encoder.fieldCount)
    }

    /// Pure and total; allocates no more than the bytes' own size.
    package static func decode(_ bytes: UnsafeRawBufferPointer, fieldCount: Int) -> Decoded {
        var edit = VersionEdit()
        var position = 0
        var count = 0
        while position < bytes.count {
            guard let tag = Varint.decode(bytes, at: &position), let length = Varint.decode(bytes, at: &position),
                length <= UInt64(bytes.count - position)
            else { return .malformed("field \(count) is cut off") }
            var reader = FieldReader(UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(length)]))
            position += Int(length)
            count += 1
            guard let isKnown = edit.read(tag, &reader) else { return .malformed("field \(count) with tag \(tag) is malformed") }
            if isKnown && !reader.isAtEnd { return .malformed("field \(count) with tag \(tag) is too long") }
            if !isKnown && tag % 2 == 1 { return .unsupported(tag: tag) }
        }
        return count == fieldCount ? .edit(edit) : .malformed("it has \(count) fields and should have \(fieldCount)")
    }

    /// Takes one field in: false when the tag is unknown, nil when the field is malformed.
    private mutating func read(_ tag: UInt64, _ reader: inout FieldReader) -> Bool? {
        switch tag {
        case Tag.storeUUID:
            guard let high = reader.fixedBE(), let low = reader.fixedBE() else { return nil }
            storeUUID = StoreUUID(high: high, low: low)
        case Tag.durableMark:
            guard let segmentID = reader.number(), let offset = reader.number(), let lsn = reader.lsn(),
                let chain = reader.fixedLE()
            else { return nil }
            durableMark = DurableMark(segmentID: segmentID, offset: offset, lsn: lsn, chain: chain)
        case Tag.added:
            guard let file = TableFile(reading: &reader) else { return nil }
            added.append(file)
        case Tag.removed:
            guard let level = reader.varint(), level <= VersionEdit.levelMax, let number = reader.number() else { return nil }
            removed.append(RemovedFile(level: Int(level), number: number))
        case Tag.walLow:
            guard let value = reader.number() else { return nil }
            walLow = value
        case Tag.nextFile:
            guard let value = reader.number() else { return nil }
            nextFile = value
        case Tag.flushedLSN:
            guard let value = reader.lsn() else { return nil }
            flushedLSN = value
        case Tag.epoch:
            guard let epoch = reader.varint(), let lsn = reader.lsn() else { return nil }
            epochs.append(EpochStart(epoch: epoch, firstLSN: lsn))
        case Tag.epochsEnd:
            guard let value = reader.varint() else { return nil }
            epochsEnd = value
        default: return false
        }
        return true
    }
}

extension TableFile {
    fileprivate func encode(into bytes: inout [UInt8]) {
        bytes.appendVarint(UInt64(level))
        bytes.appendVarint(number)
        bytes.appendVarint(byteCount)
        for key in [smallestKey, largestKey] {
            bytes.appendVarint(UInt64(key.count))
            bytes += key
        }
        for value in [smallestLSN, largestLSN, entryCount, tombstoneCount, rangeTombstoneCount] { bytes.appendVarint(value) }
        bytes.appendLE(fileContext)
        bytes.appendLE(digest)
    }

    fileprivate init?(reading reader: inout FieldReader) {
        guard let level = reader.varint(), level <= VersionEdit.levelMax, let number = reader.number(),
            let byteCount = reader.amount(),
            let smallestKey = reader.prefixedBytes(), let largestKey = reader.prefixedBytes(), let smallestLSN = reader.lsn(),
            let largestLSN = reader.lsn(), let entryCount = reader.amount(), let tombstoneCount = reader.amount(),
            let rangeTombstoneCount = reader.amount(),
            let fileContext = reader.fixedLE(), let digest = reader.fixedLE()
        else { return nil }
        self.init(
            level: Int(level), number: number, byteCount: byteCount, smallestKey: smallestKey, largestKey: largestKey,
            smallestLSN: smallestLSN, largestLSN: largestLSN, entryCount: entryCount, tombstoneCount: tombstoneCount,
            rangeTombstoneCount: rangeTombstoneCount,
            fileContext: fileContext, digest: digest)
    }
}
