/// The round trip to a node, smoothed: each measurement counts for a fifth (docs of server selection call it an EWMA with alpha 0.2).
package struct LatencyAverage: Sendable {
    package private(set) var nanoseconds: Double?

    package init() {}

    package mutating func add(nanoseconds measured: UInt64) {
        nanoseconds = nanoseconds.map { $0 * 0.8 + Double(measured) * 0.2 } ?? Double(measured)
    }
}
