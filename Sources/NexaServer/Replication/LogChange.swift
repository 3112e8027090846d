// What happens to a node's data between a stop and a start: the diverged tail of its log is cut and kept in a rollback file. A snapshot
// needs nothing here: the next open swaps it in.

import Logging
import NexaStorage

enum LogChange {
    /// Returns whether the node has to ask for a snapshot: its tables hold what should be cut.
    static func perform(
        _ reason: ReplicationShell.RestartReason, _ configuration: ServerConfiguration, _ logger: Logger,
        _ counters: ReplicationCounters, fileSystem: any FileSystem = PosixFileSystem()
    ) throws -> Bool {
        guard case .truncate(let position, _) = reason else { return false }
        do {
            let report = try LogTruncation.truncate(
                directory: configuration.dataDirectory, fileSystem: fileSystem, after: position)
            counters.cut(report.cutRecordCount)
            logger.notice(
                "the log was cut back",
                metadata: [
                    "to": "\(position)", "records": "\(report.cutRecordCount)", "kept_in": "\(report.rollbackPath ?? "-")",
                ])
            return false
        } catch {
            guard case .needsSnapshot(let lsn) = error else { throw error }
            logger.notice("tables hold what should be cut: a snapshot is needed", metadata: ["tables_reach": "\(lsn)"])
            return true
        }
    }
}

extension ReplicationShell.RestartReason {
    /// Whom to follow afterwards.
    var upstream: String? {
        switch self {
        case .truncate(_, let upstream), .snapshot(let upstream): upstream
        }
    }
}
