/// What the HTTP gateway counts: requests by method and class of status, their time, connections. One lock a request.

import Synchronization

package final class HTTPCounters: Sendable {
    private struct Counts {
        /// By method, then by class of status from 1xx on.
        var requests = [[UInt64]](repeating: [UInt64](repeating: 0, count: 5), count: HTTPCounters.methods.count)
        var latencies = [UInt64](repeating: 0, count: MetricsLayout.bucketCount)
        var nanoseconds: UInt64 = 0
        var openConnections = 0
        var connections: UInt64 = 0
    }

    private static let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"]
    private let counts = Mutex(Counts())

    package init() {}

    package func record(method: String, status: Int, nanoseconds: UInt64) {
        let row = Self.methods.firstIndex(of: method) ?? Self.methods.count - 1
        let column = min(max(status / 100, 1), 5) - 1
        counts.withLock { counts in
            counts.requests[row][column] += 1
            counts.latencies[MetricsLayout.bucket(of: nanoseconds)] += 1
            counts.nanoseconds &+= nanoseconds
        }
    }

    package func connectionOpened() {
        counts.withLock { counts in
            counts.openConnections += 1
            counts.connections += 1
        }
    }

    package func connectionClosed() { counts.withLock { $0.openConnections -= 1 } }

    func write(_ text: inout PrometheusText) {
        let counts = counts.withLock { $0 }
        text.family("nexadb_http_requests_total", "counter", "Requests to the HTTP gateway by method and class of status.")
        for (method, row) in zip(Self.methods, counts.requests) {
            for (index, count) in row.enumerated() where count > 0 {
                text.sample("nexadb_http_requests_total", "method=\"\(method)\",status=\"\(index + 1)xx\"", count)
            }
        }
        text.family("nexadb_http_request_seconds", "histogram", "Time from the head of a request until its answer was ready.")
        text.histogram("nexadb_http_request_seconds", "", counts: counts.latencies, sumNanoseconds: counts.nanoseconds)
        text.counter("nexadb_http_connections_total", "HTTP connections accepted.", counts.connections)
        text.gauge("nexadb_http_connections", "HTTP connections open.", counts.openConnections)
    }
}
