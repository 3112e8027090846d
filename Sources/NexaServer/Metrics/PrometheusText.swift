/// Builds the Prometheus text format by hand: a few hundred lines a scrape, no registry, no label maps.

package struct PrometheusText {
    package private(set) var text = ""

    package init() { text.reserveCapacity(16 << 10) }

    /// Starts a family: its help and type lines.
    package mutating func family(_ name: String, _ kind: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
    }

    package mutating func sample(_ name: String, _ labels: MetricLabels = "", _ value: UInt64) {
        line(name, labels.text, "\(value)")
    }
    package mutating func sample(_ name: String, _ labels: MetricLabels = "", _ value: Int) {
        line(name, labels.text, "\(value)")
    }
    package mutating func sample(_ name: String, _ labels: MetricLabels = "", _ value: Double) {
        line(name, labels.text, "\(value)")
    }

    /// A family of one sample.
    package mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        family(name, "counter", help)
        sample(name, "", value)
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Double) {
        family(name, "gauge", help)
        sample(name, "", value)
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        family(name, "gauge", help)
        sample(name, "", value)
    }

    /// Cumulative buckets with upper bounds of 2^k microseconds, their sum in seconds and the count.
    package mutating func histogram(_ name: String, _ labels: MetricLabels, counts: [UInt64], sumNanoseconds: UInt64) {
        let labels = labels.text
        var total: UInt64 = 0
        for (exponent, count) in counts.enumerated() {
            total += count
            let bound = exponent == counts.count - 1 ? "+Inf" : "\(Double(1 << exponent) / 1e6)"
            line(name + "_bucket", labels.isEmpty ? "le=\"\(bound)\"" : "\(labels),le=\"\(bound)\"", "\(total)")
        }
        line(name + "_sum", labels, "\(Double(sumNanoseconds) / 1e9)")
        line(name + "_count", labels, "\(total)")
    }

    private mutating func line(_ name: String, _ labels: String, _ value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }
}
