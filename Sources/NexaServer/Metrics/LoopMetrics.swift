/// Counters of one event loop (or of one pool of threads): written by one thread, read by any.
///
/// A cell is a relaxed atomic, and its single writer needs no locked instruction: counting costs a load and a store.
/// Sums over all loops are taken when somebody asks (`/metrics`, STATUS), so no cache line is shared on a request's path.

import NexaWire
import Synchronization

/// What latencies are kept apart by.
package enum LatencyClass: Int, CaseIterable, Sendable {
    /// Answered from memory on the event loop: PING, READ, catalog questions, refusals.
    case read
    /// From the arrival of a write until its answer left, its way to the disk included.
    case write
    /// What left the event loop and wrote nothing: scans, searches, reads from disk, log-ins.
    case scan
    /// Of writes that were ready here: until the other nodes had them that they asked for.
    case concernWait
    /// Of reads: until a position, or the leader's word, was there.
    case readWait

    /// Those that tell of whole requests: each is in one of them, once.
    static let requests: [LatencyClass] = [.read, .write, .scan]

    package var name: String {
        switch self {
        case .read: "read"
        case .write: "write"
        case .scan: "scan"
        case .concernWait: "concern_wait"
        case .readWait: "read_wait"
        }
    }
}

/// Single-valued counters and gauges of one loop.
package enum LoopCell: Int, CaseIterable, Sendable {
    case connectionsAccepted, connectionsRefused, connectionsClosed, connectionsTimedOut
    case bytesReceived, bytesSent, flushes, durabilityWakes, inlineSyncs
    case jobs, streamsOpened, streamsClosed, readPauses
    case subscriptionsOpened, changeEvents, changeBytes
    case handshakes, handshakesFailed

    package var name: String {
        switch self {
        case .connectionsAccepted: "connections_accepted"
        case .connectionsRefused: "connections_refused"
        case .connectionsClosed: "connections_closed"
        case .connectionsTimedOut: "connections_timed_out"
        case .bytesReceived: "bytes_received"
        case .bytesSent: "bytes_sent"
        case .flushes: "socket_flushes"
        case .durabilityWakes: "durability_wakes"
        case .inlineSyncs: "inline_syncs"
        case .jobs: "pool_jobs"
        case .streamsOpened: "streams_opened"
        case .streamsClosed: "streams_closed"
        case .readPauses: "read_pauses"
        case .subscriptionsOpened: "subscriptions_opened"
        case .changeEvents: "change_events"
        case .changeBytes: "change_bytes"
        case .handshakes: "tls_handshakes"
        case .handshakesFailed: "tls_handshakes_failed"
        }
    }

    var help: String {
        switch self {
        case .connectionsAccepted: "Connections accepted."
        case .connectionsRefused: "Connections refused because too many were open."
        case .connectionsClosed: "Connections closed."
        case .connectionsTimedOut: "Connections closed by a time limit."
        case .bytesReceived: "Bytes read from clients."
        case .bytesSent: "Bytes given to clients' sockets."
        case .flushes: "Writes to clients' sockets."
        case .durabilityWakes: "Wake-ups of event loops by the log."
        case .inlineSyncs: "Log syncs done by event loops."
        case .jobs: "Turns of requests in the work pool."
        case .streamsOpened: "Streams opened."
        case .streamsClosed: "Streams closed."
        case .handshakes: "TLS handshakes done."
        case .handshakesFailed: "TLS handshakes that failed, plaintext on a TLS port included."
        case .readPauses: "Times that a connection was not read because all buffers are full."
        case .subscriptionsOpened: "Change streams begun."
        case .changeEvents: "Change events told."
        case .changeBytes: "Bytes of change events told."
        }
    }
}

/// `@unchecked Sendable`: the cells are atomics at a stable address; only the owning thread writes.
package final class LoopMetrics: @unchecked Sendable {
    private typealias Layout = MetricsLayout
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    package init() {
        cells = .allocate(capacity: MetricsLayout.cellCount)
        for index in 0..<MetricsLayout.cellCount { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: MetricsLayout.cellCount)
        cells.deallocate()
    }

    @inline(__always)
    private func bump(_ index: Int, by amount: UInt64) {
        let cell = cells + index
        cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// One more request of this type byte.
    @inline(__always)
    package func countRequest(_ type: UInt8) { bump(MetricsLayout.requests + Int(type), by: 1) }

    /// One more answer with this error code.
    package func countError(_ code: ErrorCode) { bump(MetricsLayout.errors + MetricsLayout.index(of: code), by: 1) }

    @inline(__always)
    package func add(_ amount: Int = 1, to cell: LoopCell) {
        bump(MetricsLayout.singles + cell.rawValue, by: UInt64(truncatingIfNeeded: amount))
    }

    /// `count` requests took `nanoseconds` each.
    @inline(__always)
    package func record(nanoseconds: UInt64, count: Int, in latencyClass: LatencyClass) {
        let base = MetricsLayout.histogram(latencyClass)
        bump(base + MetricsLayout.bucket(of: nanoseconds), by: UInt64(count))
        bump(base + MetricsLayout.bucketCount, by: nanoseconds &* UInt64(count))
    }

    func load(_ index: Int) -> UInt64 { cells[index].load(ordering: .relaxed) }
}

/// Where each figure stands among the cells.
enum MetricsLayout {
    static let requests = 0
    static let errors = 256
    static let errorCount = ErrorCode.allCases.count
    static let singles = errors + errorCount
    static let histograms = singles + LoopCell.allCases.count
    /// Bucket k counts latencies of at most 2^k microseconds; the last one takes everything above.
    static let bucketCount = 26
    static let histogramCellCount = bucketCount + 1  // and the sum of nanoseconds
    static let cellCount = histograms + LatencyClass.allCases.count * histogramCellCount

    @inline(__always)
    static func histogram(_ latencyClass: LatencyClass) -> Int { histograms + latencyClass.rawValue * histogramCellCount }

    @inline(__always)
    static func bucket(of nanoseconds: UInt64) -> Int {
        let microseconds = nanoseconds / 1_000
        return min(UInt64.bitWidth - microseconds.leadingZeroBitCount, bucketCount - 1)
    }

    static func index(of code: ErrorCode) -> Int { ErrorCode.allCases.firstIndex(of: code) ?? 0 }
}

/// The sum over all loops at one moment.
package struct MetricsSnapshot: Sendable {
    private var cells: [UInt64]

    package init(summing loops: [LoopMetrics]) {
        cells = (0..<MetricsLayout.cellCount).map { index in loops.reduce(0) { $0 &+ $1.load(index) } }
    }

    package func requests(_ type: UInt8) -> UInt64 { cells[MetricsLayout.requests + Int(type)] }
    package func errors(_ code: ErrorCode) -> UInt64 { cells[MetricsLayout.errors + MetricsLayout.index(of: code)] }
    package subscript(cell: LoopCell) -> UInt64 { cells[MetricsLayout.singles + cell.rawValue] }

    package var requestCount: UInt64 { (0..<256).reduce(0) { $0 &+ cells[$1] } }

    /// Counts of the buckets in ascending order, and the sum in nanoseconds.
    package func latencies(_ latencyClass: LatencyClass) -> (counts: [UInt64], sumNanoseconds: UInt64) {
        let base = MetricsLayout.histogram(latencyClass)
        return (Array(cells[base..<base + MetricsLayout.bucketCount]), cells[base + MetricsLayout.bucketCount])
    }
}
