/// What the manifest, and everybody who picks tables, has to know of a finished table.
package struct TableInfo: Sendable, Equatable {
    package var fileNumber: UInt64 = 0
    package var byteCount: UInt64 = 0
    /// The smallest user key, starts of range tombstones included.
    package var smallest: [UInt8] = []
    /// The largest user key, inclusive; ends of range tombstones (which are exclusive) count as if they were inclusive.
    package var largest: [UInt8] = []
    package var lsnMin: LSN = 0
    package var lsnMax: LSN = 0
    /// Point entries, deletes among them.
    package var entryCount: UInt64 = 0
    /// Deletes among the entries.
    package var tombstoneCount: UInt64 = 0
    package var rangeTombstoneCount: UInt64 = 0
    package var rawKeyByteCount: UInt64 = 0
    package var rawValueByteCount: UInt64 = 0
    /// Random number, never 0, that seeds the checksum of every block.
    package var fileContext: UInt64 = 0
    /// Pins every byte of the file.
    package var digest: UInt64 = 0

    package init() {}
}

extension TableInfo {
    /// The part that the properties block holds.
    var properties: TableProperties {
        var properties = TableProperties()
        properties.numbers = [
            ("entries", entryCount), ("tombstones", tombstoneCount), ("range_tombstones", rangeTombstoneCount),
            ("raw_key_bytes", rawKeyByteCount), ("raw_value_bytes", rawValueByteCount), ("lsn_min", lsnMin), ("lsn_max", lsnMax),
        ]
        properties.bytes = [("smallest", smallest), ("largest", largest)]
        return properties
    }

    /// From footer and properties; nil where a property is missing.
    init?(footer: TableFooter, byteCount: UInt64, properties: TableProperties) {
        guard let entries = properties.number("entries"), let tombstones = properties.number("tombstones"),
            let rangeTombstones = properties.number("range_tombstones"), let keyBytes = properties.number("raw_key_bytes"),
            let valueBytes = properties.number("raw_value_bytes"), let lsnMin = properties.number("lsn_min"),
            let lsnMax = properties.number("lsn_max"), let smallest = properties.byteString("smallest"),
            let largest = properties.byteString("largest")
        else { return nil }
        self.init()
        self.fileNumber = footer.fileNumber
        self.byteCount = byteCount
        self.smallest = smallest
        self.largest = largest
        self.lsnMin = lsnMin
        self.lsnMax = lsnMax
        self.entryCount = entries
        self.tombstoneCount = tombstones
        self.rangeTombstoneCount = rangeTombstones
        self.rawKeyByteCount = keyBytes
        self.rawValueByteCount = valueBytes
        self.fileContext = footer.fileContext
        self.digest = footer.digest
    }
}
