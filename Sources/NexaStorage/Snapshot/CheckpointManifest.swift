import CSupport

/// What a checkpoint consists of and where its history goes on: enough to fetch it file by file, to know which files one has already, and
/// to stream from the record behind it. A follower keeps it in `DIR/incoming/CHECKPOINT` while it fetches:
///
///     magic "NXCKPT\r\n" | store uuid (16, big-endian) | epoch | lsn | chain (8)
///     count | (epoch | first lsn)...     count | (name length | name | byte count | digest (8))...     XXH3-64 of all before (8)
///
/// Integers are varints unless a width is given; fixed ones are little-endian.
package struct CheckpointManifest: Equatable, Sendable {
    package struct File: Hashable, Sendable {
        /// A plain name: of a table, of the manifest or of its marker.
        package var name: String
        package var byteCount: UInt64
        /// Of a table its own digest, which pins every byte of it and is in its footer and in the manifest; of the others XXH3-64 of
        /// their bytes.
        package var digest: UInt64

        package init(name: String, byteCount: UInt64, digest: UInt64) {
            self.name = name
            self.byteCount = byteCount
            self.digest = digest
        }

        var tableNumber: UInt64? { StoreLayout.tableNumber(name) }
    }

    package static let fileCountMax = 65_536
    static let magic: UInt64 = 0x0A0D_5450_4B43_584E

    package var storeUUID: StoreUUID
    /// Everything up to here is in the tables, and nothing behind it.
    package var point: LogPoint
    package var epochs: [EpochStart]
    package var files: [File]

    package init(storeUUID: StoreUUID, point: LogPoint, epochs: [EpochStart], files: [File]) {
        self.storeUUID = storeUUID
        self.point = point
        self.epochs = epochs
        self.files = files
    }

    /// Of all files. One without a contradiction has fewer than `UInt64.max`; another may claim more, and then has that many.
    package var byteCount: UInt64 {
        files.reduce(0) { sum, file in
            let (next, isTooLarge) = sum.addingReportingOverflow(file.byteCount)
            return isTooLarge ? .max : next
        }
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLE(Self.magic)
        bytes.appendBE(storeUUID.high)
        bytes.appendBE(storeUUID.low)
        bytes.appendVarint(point.epoch)
        bytes.appendVarint(point.lsn)
        bytes.appendLE(point.chain)
        bytes.appendVarint(UInt64(epochs.count))
        for start in epochs {
            bytes.appendVarint(start.epoch)
            bytes.appendVarint(start.firstLSN)
        }
        bytes.appendVarint(UInt64(files.count))
        for file in files {
            bytes.appendVarint(UInt64(file.name.utf8.count))
            bytes += Array(file.name.utf8)
            bytes.appendVarint(file.byteCount)
            bytes.appendLE(file.digest)
        }
        let hash = bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
        bytes.appendLE(hash)
        return bytes
    }

    /// Nil when the bytes are not a whole manifest. Pure and total.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 16, let start = bytes.baseAddress, ByteOrder.loadLE(start, at: 0) == Self.magic,
            ByteOrder.loadLE(start, at: bytes.count - 8) == nexa_xxh3(start, bytes.count - 8, 0)
        else { return nil }
        var reader = FieldReader(UnsafeRawBufferPointer(rebasing: bytes[8..<bytes.count - 8]))
        guard let high = reader.fixedBE(), let low = reader.fixedBE(), let epoch = reader.varint(), let lsn = reader.lsn(),
            let chain = reader.fixedLE(), let epochCount = reader.varint(), epochCount <= UInt64(bytes.count)
        else { return nil }
        storeUUID = StoreUUID(high: high, low: low)
        point = LogPoint(epoch: epoch, lsn: lsn, chain: chain)
        epochs = []
        for _ in 0..<epochCount {
            guard let epoch = reader.varint(), let lsn = reader.lsn() else { return nil }
            epochs.append(EpochStart(epoch: epoch, firstLSN: lsn))
        }
        files = []
        guard let fileCount = reader.varint(), fileCount <= UInt64(Self.fileCountMax) else { return nil }
        for _ in 0..<fileCount {
            guard let name = reader.prefixedBytes(), let byteCount = reader.varint(), let digest = reader.fixedLE() else {
                return nil
            }
            files.append(File(name: String(decoding: name, as: UTF8.self), byteCount: byteCount, digest: digest))
        }
        guard reader.isAtEnd else { return nil }
    }

    /// Why it cannot be installed; nil when it can: each file's name is one that a store has, once, there is one manifest with a marker, and the
    /// sizes have a sum.
    package var contradiction: String? {
        var names: Set<String> = []
        for file in files {
            let isKnown =
                file.tableNumber != nil || ManifestFileName.manifestID(file.name) != nil
                || ManifestFileName.marker(file.name) != nil
            guard isKnown else { return "\(file.name) is no name of a store's file" }
            guard names.insert(file.name).inserted else { return "\(file.name) comes twice" }
        }
        let markers = files.compactMap { ManifestFileName.marker($0.name) }
        guard markers.count == 1,
            files.filter({ ManifestFileName.manifestID($0.name) != nil }).map(\.name)
                == [ManifestFileName.manifest(markers[0].manifestID)]
        else { return "there must be one manifest and its marker" }
        return byteCount < .max ? nil : "its files have more bytes than can be"
    }
}
