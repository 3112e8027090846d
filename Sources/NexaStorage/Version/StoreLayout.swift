// Where the files of a store lie:
//
//     DIR/LOCK                      held while the store is open
//     DIR/manifest.* MANIFEST-*     which tables there are (Manifest/)
//     DIR/wal/<16 hex>.wal          the log (WriteAheadLog/)
//     DIR/sst/<16 hex>.sst          the tables (Table/)

/// Paths of one store.
package struct StoreLayout: Sendable {
    package let directory: String

    package init(directory: String) { self.directory = directory }

    package var lockPath: String { Path.join(directory, "LOCK") }
    package var logDirectory: String { Path.join(directory, "wal") }
    package var tableDirectory: String { Path.join(directory, "sst") }

    package func tablePath(_ number: UInt64) -> String {
        Path.join(tableDirectory, Self.tableName(number))
    }

    package static func tableName(_ number: UInt64) -> String { Hex.string(number) + ".sst" }

    /// The number of a table's file name; nil for other files.
    package static func tableNumber(_ name: String) -> UInt64? {
        name.hasSuffix(".sst") ? Hex.value(name.dropLast(4)) : nil
    }
}
