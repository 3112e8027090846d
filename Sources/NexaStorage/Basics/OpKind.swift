/// What an entry does to its key. The raw values are on disk, in log payloads and in tables.
package enum OpKind: UInt8, Sendable {
    case put = 1
    case delete = 2
    /// The key is the first one removed, the value is the first one that stays.
    case rangeDelete = 3
}
