import Logging
import NexaServer
import NexaWire
import Testing

private struct Source: AdminSource {
    var ill: String?
    var ready = true
    func metricsText() -> String { "nexadb_up 1\n" }
    func ailment() -> String? { ill }
    func isReady() -> Bool { ready }
    var leads = false
    var staleness: Int?
    func isLeader() -> Bool { leads }
    func stalenessMilliseconds() -> Int? { staleness }
}

@Suite struct AdminReplyTests {
    private func status(_ path: String, method: String = "GET", hosts: [String] = ["127.0.0.1:6971"], _ source: Source = Source())
        -> Int
    {
        AdminReply(method: method, path: path, hosts: hosts, source: source).status
    }

    @Test func theThreePagesAnswer() {
        #expect(status("/metrics") == 200)
        #expect(status("/health?verbose") == 200)
        #expect(status("/readyz") == 200)
        #expect(status("/") == 404)
        #expect(status("/metrics", method: "HEAD") == 200)
        #expect(status("/metrics", method: "POST") == 405)
    }

    @Test func loadBalancersLearnWhoLeadsAndHowFarFollowersAre() {
        #expect(status("/leader", Source(leads: true)) == 200)
        #expect(status("/leader", Source(staleness: 0)) == 503)
        #expect(status("/replica", Source(leads: true)) == 503)
        let follower = Source(staleness: 800)
        #expect(status("/replica", follower) == 200)
        #expect(status("/replica?lag=2s", follower) == 200)
        #expect(status("/replica?lag=500ms", follower) == 503)
        #expect(status("/replica?lag=soon", follower) == 400)
    }

    @Test func anIllOrStoppingNodeSaysSo() {
        let ill = AdminReply(
            method: "GET", path: "/health", hosts: ["localhost"], source: Source(ill: "writes are refused: disk full"))
        #expect(ill.status == 503)
        #expect(ill.body == "writes are refused: disk full\n")
        #expect(status("/readyz", Source(ready: false)) == 503)
    }

    @Test func onlyLoopbackNamesAreAnswered() {
        for host in ["localhost", "localhost:6971", "127.0.0.1", "[::1]:6971"] {
            #expect(status("/metrics", hosts: [host]) == 200)
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "[fe80::1]", ""] {
            #expect(status("/metrics", hosts: [host]) == 403)
        }
        #expect(status("/metrics", hosts: []) == 403)
        #expect(status("/metrics", hosts: ["localhost", "localhost"]) == 403)
    }

    @Test func beyondLoopbackAnyNameIsAnswered() {
        for hosts in [["db1:6971"], ["10.0.0.7"], []] {
            let reply = AdminReply(
                method: "GET", path: "/leader", hosts: hosts, answersAnyHost: true, source: Source(leads: true))
            #expect(reply.status == 200)
        }
    }
}

@Suite struct MetricsTests {
    @Test func countersOfAllLoopsAreSummed() {
        let first = LoopMetrics()
        let second = LoopMetrics()
        first.countRequest(MessageType.read.rawValue)
        second.countRequest(MessageType.read.rawValue)
        second.countError(.badFilter)
        second.add(100, to: .bytesReceived)
        let snapshot = MetricsSnapshot(summing: [first, second])
        #expect(snapshot.requests(MessageType.read.rawValue) == 2)
        #expect(snapshot.errors(.badFilter) == 1)
        #expect(snapshot[.bytesReceived] == 100)
        #expect(snapshot.requestCount == 2)
    }

    @Test func latenciesFallIntoTheBucketThatBoundsThem() {
        let metrics = LoopMetrics()
        metrics.record(nanoseconds: 900, count: 1, in: .write)
        metrics.record(nanoseconds: 3_000, count: 2, in: .write)
        metrics.record(nanoseconds: .max, count: 1, in: .read)
        let snapshot = MetricsSnapshot(summing: [metrics])
        #expect(snapshot.latencies(.write).counts[0] == 1)
        #expect(snapshot.latencies(.write).counts[2] == 2)
        #expect(snapshot.latencies(.write).sumNanoseconds == 6_900)
        #expect(snapshot.latencies(.read).counts.last == 1)
        var text = PrometheusText()
        text.histogram("x", "class=\"write\"", counts: [1, 0, 2], sumNanoseconds: 6_900)
        #expect(text.text.hasPrefix("x_bucket{class=\"write\",le=\"1e-06\"} 1\nx_bucket{class=\"write\",le=\"2e-06\"} 1\n"))
        #expect(text.text.contains("x_bucket{class=\"write\",le=\"+Inf\"} 3\n"))
        #expect(text.text.hasSuffix("x_sum{class=\"write\"} 6.9e-06\nx_count{class=\"write\"} 3\n"))
    }
}

@Suite struct MetricLabelsTests {
    @Test func noNameEndsItsLabelOrItsLine() {
        let name = "a\"} 1\nforged 2\\"
        var text = PrometheusText()
        text.sample("x", "peer=\"\(name)\",stage=\"durable\"", 3)
        #expect(text.text == #"x{peer="a\"} 1\nforged 2\\",stage="durable"} 3"# + "\n")
    }
}

@Suite struct LogLineTests {
    private let time = TimeOfDay(seconds: 1_795_383_780, nanoseconds: 7_000_000)

    @Test func textLinesAreForPeople() {
        let line = StderrLogHandler.textLine(
            time: time, level: .info, message: "listening", fields: [("address", "127.0.0.1:6970"), ("why", "two words")])
        #expect(line == "2026-11-22T21:43:00.007Z INFO     listening  address=127.0.0.1:6970  why=\"two words\"\n")
    }

    @Test func noTextFromAPeerCanForgeALine() {
        let hostile = "a\nb\u{1B}[31m\"c\\\u{85}"
        let text = StderrLogHandler.textLine(time: time, level: .error, message: hostile, fields: [("k", .string(hostile))])
        #expect(text.filter { $0 == "\n" }.count == 1)
        #expect(!text.unicodeScalars.contains("\u{1B}"))
        let json = StderrLogHandler.jsonLine(time: time, level: .error, message: hostile, fields: [("k\"", .string(hostile))])
        #expect(json.filter { $0 == "\n" }.count == 1)
        #expect(json.contains(#""message":"a\nb\u001b[31m\"c\\\u0085""#))
        #expect(json.contains(#""k\"":"a"#))
    }
}
