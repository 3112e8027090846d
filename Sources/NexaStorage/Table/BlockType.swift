/// What a block of a table holds; the first byte of its trailer. On disk.
package enum BlockType: UInt8, Sendable, CaseIterable {
    case data = 1
    case index = 2
    case filter = 3
    case rangeTombstones = 4
    case properties = 5
    case metaIndex = 6
}
