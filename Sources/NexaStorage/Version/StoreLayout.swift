// Where the files of a store lie:
//
//     DIR/LOCK                      held while the store is open
//     DIR/manifest.* MANIFEST-*     which tables there are (Manifest/)
//     DIR/wal/<16 hex>.wal          the log (WriteAheadLog/)
//     DIR/sst/<16 hex>.sst          the tables (Table/)
//     DIR/checkpoints/<name>/       what is copied to others now (Snapshot/Checkpoint.swift)
//     DIR/incoming/                 what is copied from another now (Snapshot/SnapshotInstaller.swift)
//     DIR/rollback/*.nxr            what was cut off the log, for people (Replication/RollbackFile.swift)
//     DIR/RESTORING                 a backup is being copied into DIR: until this is gone DIR is no store (NexaBackup)

/// Paths of one store.
package struct StoreLayout: Sendable {
    package let directory: String

    package init(directory: String) { self.directory = directory }

    package var lockPath: String { Path.join(directory, "LOCK") }
    package var logDirectory: String { Path.join(directory, "wal") }
    package var tableDirectory: String { Path.join(directory, "sst") }

    package var checkpointsDirectory: String { Path.join(directory, "checkpoints") }
    package var incomingDirectory: String { Path.join(directory, "incoming") }
    package var rollbackDirectory: String { Path.join(directory, "rollback") }
    package var restoringPath: String { Path.join(directory, "RESTORING") }

    package func tablePath(_ number: UInt64) -> String {
        Path.join(tableDirectory, Self.tableName(number))
    }

    package static func tableName(_ number: UInt64) -> String { Hex.string(number) + ".sst" }

    /// The number of a table's file name; nil for other files.
    package static func tableNumber(_ name: String) -> UInt64? {
        name.hasSuffix(".sst") ? Hex.value(name.dropLast(4)) : nil
    }
}
