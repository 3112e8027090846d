/// The concatenation of tables that do not overlap, given in key order; opens a block of one table at a time.
package final class LevelIterator: InternalIterator {
    package init(_ tables: [TableReader], options: TableReadOptions) { fatalError("not built yet") }
}
