// What a node holds at one LSN, collection by collection, as hashes: two nodes that hold the same give the same, whatever their tables and
// logs look like. One pass over all keys in order; the catalog comes first (collection 0) and gives the others their names, as of
// that LSN. In steps, so that whoever drives it can do other things in between.
//
// Costs: reads everything, past the cache, and keeps nothing but the names of the collections. The snapshot pins what it shows.

import CSupport
import NexaStorage

/// A walk over everything that a snapshot shows. Confined to one thread at a time.
package final class ContentWalk {
    /// A collection that has been read to its end.
    package struct Part: Hashable, Sendable {
        /// 0 is the catalog itself.
        package var id: UInt32
        package var database: String
        package var name: String
        package var hash: ContentHash
    }

    package let lsn: LSN
    package private(set) var entryCount: UInt64 = 0
    package private(set) var byteCount: UInt64 = 0
    package private(set) var isDone = false
    private let snapshot: Snapshot
    private let entries: EngineIterator
    private var names: [UInt32: (database: String, name: String)] = [:]
    private var current: (id: UInt32, hash: ContentHash)?
    private var hasBegun = false

    package init(_ engine: Engine, at snapshot: Snapshot) {
        self.snapshot = snapshot
        lsn = snapshot.lsn
        entries = engine.makeReader().makeIterator(lowerBound: nil, upperBound: nil, at: snapshot.lsn, fillCache: false)
    }

    /// Takes up to `entryCountMax` entries and `byteCountMax` bytes, at least one entry, and answers the collections that ended meanwhile.
    package func step(entryCountMax: Int, byteCountMax: UInt64) throws(StorageError) -> [Part] {
        var parts: [Part] = []
        if !hasBegun {
            hasBegun = true
            try entries.seekToFirst()
        }
        let byteLimit = byteCount + byteCountMax
        var left = entryCountMax
        while entries.isValid && left > 0 && byteCount < byteLimit {
            take(entries.key, entries.value, into: &parts)
            left -= 1
            try entries.next()
        }
        if !entries.isValid && !isDone {
            isDone = true
            finish(into: &parts)
            snapshot.release()
        }
        return parts
    }

    private func take(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, into parts: inout [Part]) {
        let id = key.count < 4 ? 0 : UInt32(bigEndian: key.loadUnaligned(as: UInt32.self))
        if current?.id != id {
            finish(into: &parts)
            current = (id, ContentHash())
        }
        if id == 0 { note(key, value) }
        current!.hash.add(key: key, value: value)
        entryCount += 1
        byteCount += UInt64(key.count + value.count)
    }

    /// A catalog entry names a collection.
    private func note(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard key.count > CatalogRecord.prefixByteCount, key[4] == CatalogRecord.Kind.collection.rawValue,
            let collection = CatalogLoader.collection(
                id: UnsafeRawBufferPointer(rebasing: key[CatalogRecord.prefixByteCount...]), value: value)
        else { return }
        names[collection.id] = (collection.database, collection.name)
    }

    private func finish(into parts: inout [Part]) {
        guard let (id, hash) = current else { return }
        current = nil
        let name = id == 0 ? ("", "catalog") : names[id] ?? ("", "collection \(id)")
        parts.append(Part(id: id, database: name.0, name: name.1, hash: hash))
    }
}
