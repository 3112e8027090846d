/// What the HTTP gateway counts: requests by route, method and status, their time, connections, bytes. One lock a request; labels come from
/// fixed lists.

import Synchronization

package final class HTTPCounters: Sendable {
    private struct Kind: Hashable {
        /// The place of a literal's text: the gateway names a route in one place.
        var route: UInt
        var method: UInt8
        var status: UInt16
    }

    private struct Counts {
        var requests: [Kind: (route: StaticString, count: UInt64)] = [:]
        var latencies = [UInt64](repeating: 0, count: MetricsLayout.bucketCount)
        var nanoseconds: UInt64 = 0
        var openConnections = 0
        var connections: UInt64 = 0
    }

    private static let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"]
    private let counts = Mutex(Counts())
    private let receivedByteCount = Atomic<UInt64>(0)
    private let sentByteCount = Atomic<UInt64>(0)

    package init() {}

    /// `route` is a literal.
    package func record(route: StaticString, method: String, status: Int, nanoseconds: UInt64) {
        let method = Self.methods.firstIndex(of: method) ?? Self.methods.count - 1
        let kind = Kind(route: UInt(bitPattern: route.utf8Start), method: UInt8(method), status: UInt16(clamping: status))
        counts.withLock { counts in
            counts.requests[kind, default: (route, 0)].count += 1
            counts.latencies[MetricsLayout.bucket(of: nanoseconds)] += 1
            counts.nanoseconds &+= nanoseconds
        }
    }

    /// Bytes of HTTP that came in; what TLS adds is not among them.
    package func received(_ byteCount: Int) { receivedByteCount.wrappingAdd(UInt64(byteCount), ordering: .relaxed) }
    package func sent(_ byteCount: Int) { sentByteCount.wrappingAdd(UInt64(byteCount), ordering: .relaxed) }

    package func connectionOpened() {
        counts.withLock { counts in
            counts.openConnections += 1
            counts.connections += 1
        }
    }

    package func connectionClosed() { counts.withLock { $0.openConnections -= 1 } }

    func write(_ text: inout PrometheusText) {
        let counts = counts.withLock { $0 }
        var lines: [MetricLabels: UInt64] = [:]
        for (kind, entry) in counts.requests {
            let method = Self.methods[Int(kind.method)]
            lines["route=\"\(entry.route)\",method=\"\(method)\",status=\"\(kind.status)\"", default: 0] += entry.count
        }
        text.family("nexadb_http_requests_total", "counter", "Requests to the HTTP gateway by route, method and status.")
        for (labels, count) in lines.sorted(by: { $0.key < $1.key }) { text.sample("nexadb_http_requests_total", labels, count) }
        text.family("nexadb_http_request_seconds", "histogram", "Time from the head of a request until its answer was ready.")
        text.histogram("nexadb_http_request_seconds", "", counts: counts.latencies, sumNanoseconds: counts.nanoseconds)
        text.counter("nexadb_http_connections_total", "HTTP connections accepted.", counts.connections)
        text.gauge("nexadb_http_connections", "HTTP connections open.", counts.openConnections)
        text.counter(
            "nexadb_http_bytes_received_total", "Bytes of HTTP received.", receivedByteCount.load(ordering: .relaxed))
        text.counter("nexadb_http_bytes_sent_total", "Bytes of HTTP sent.", sentByteCount.load(ordering: .relaxed))
    }
}
