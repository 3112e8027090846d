/// What a write notes in the log for those who read it there (see `NexaStorage.BatchOperation.note`): what cannot be told from the operation.
///
///     put of a document that replaced one     bitmap: bit n (of byte n / 8, lowest first) is set when the n-th of the user's fields came from
///                                             the update; empty or absent: nothing is known, the document may have been replaced whole
///     delete of a document                    u64 BE, microseconds since 1970
///     delete of a catalog entry               MessagePack map {database, name?, dropped_at}
///
/// A note costs two bytes and its own: three for an update of a document with up to eight fields. Readers take a note that makes no sense
/// for none.

import NexaStorage
import NexaWire

enum ChangeNote {
    /// Sets the bit of the user's field at `place`.
    @inline(__always)
    static func mark(_ place: Int, in bitmap: inout ContiguousArray<UInt8>) {
        while bitmap.count <= place >> 3 { bitmap.append(0) }
        bitmap[place >> 3] |= 1 << UInt8(place & 7)
    }

    @inline(__always)
    static func isMarked(_ place: Int, in bitmap: UnsafeRawBufferPointer) -> Bool {
        place >> 3 < bitmap.count && bitmap[place >> 3] & (1 << UInt8(place & 7)) != 0
    }

    /// The note of a delete.
    static func time(_ microseconds: Int64) -> UInt64 { UInt64(bitPattern: microseconds).bigEndian }

    static func time(in note: UnsafeRawBufferPointer) -> Int64? {
        guard note.count == 8, let base = note.baseAddress else { return nil }
        return Int64(bitPattern: ByteOrder.loadBE(base))
    }

    /// The note of a drop: names and time.
    static func drop(database: String, collection: String?, at microseconds: Int64) -> [UInt8] {
        var entries: [MessagePackValue.Entry] = [.init("database", .string(database))]
        if let collection { entries.append(.init("name", .string(collection))) }
        entries.append(.init("dropped_at", .int(microseconds)))
        return MessagePackValue.map(entries).encoded()
    }

    static func drop(in note: UnsafeRawBufferPointer) -> (database: String, collection: String?, microseconds: Int64?)? {
        guard note.count > 0, let map = try? MessagePackValue(decoding: note), let database = map["database"]?.stringValue
        else { return nil }
        return (database, map["name"]?.stringValue, map["dropped_at"]?.intValue)
    }
}
