import NexaStorage

/// Calls `body` with the bytes of a string: keys and values of tests are readable text.
package func withBytes<R, E>(_ text: String, _ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try withBytes(Array(text.utf8), body)
}

/// As above, with bytes.
package func withBytes<R, E>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    let result = bytes.withUnsafeBytes { raw in Result { () throws(E) in try body(raw) } }
    return try result.get()
}

extension WriteBatch {
    package func put(_ key: String, _ value: String) { put(Array(key.utf8), Array(value.utf8)) }
    package func put(_ key: [UInt8], _ value: [UInt8]) { withBytes(key) { key in withBytes(value) { put(key: key, value: $0) } } }
    package func delete(_ key: String) { delete(Array(key.utf8)) }
    package func delete(_ key: [UInt8]) { withBytes(key) { delete(key: $0) } }
    package func deleteRange(_ start: String, _ end: String) { deleteRange(Array(start.utf8), Array(end.utf8)) }
    package func deleteRange(_ start: [UInt8], _ end: [UInt8]) {
        withBytes(start) { start in withBytes(end) { deleteRange(start: start, end: $0) } }
    }
}

extension Engine {
    /// Commits what `fill` puts into a batch.
    @discardableResult
    package func write(_ durability: Durability = .disk, _ fill: (WriteBatch) -> Void) throws(StorageError) -> LSN {
        let batch = WriteBatch()
        fill(batch)
        return try commit(batch, durability: durability)
    }

    /// Commits and waits until it is acknowledged.
    @discardableResult
    package func writeDurably(_ fill: (WriteBatch) -> Void) throws(StorageError) -> LSN {
        let lsn = try write(.disk, fill)
        try waitDurable(lsn)
        return lsn
    }

    /// The value of a key as text.
    package func text(_ key: String, at lsn: LSN? = nil) throws(StorageError) -> String? {
        let reader = makeReader()
        return try withBytes(key) { (key) throws(StorageError) in
            try reader.get(key, at: lsn ?? visibleLSN).map { String(decoding: $0.bytes, as: UTF8.self) }
        }
    }

    /// Everything visible at `lsn`, in order.
    package func contents(at lsn: LSN? = nil, from lower: [UInt8]? = nil, to upper: [UInt8]? = nil) throws(StorageError)
        -> [(key: [UInt8], value: [UInt8])]
    {
        let iterator = makeReader().makeIterator(lowerBound: lower, upperBound: upper, at: lsn ?? visibleLSN)
        var found: [(key: [UInt8], value: [UInt8])] = []
        try iterator.seekToFirst()
        while iterator.isValid {
            found.append((Array(iterator.key), Array(iterator.value)))
            try iterator.next()
        }
        return found
    }
}
