/// The node itself: health, status, figures. What is open to all touches neither disk nor data.

import HTTPTypes
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    func live() -> Answer { Answer(value: .map([.init("status", "ok")])) }

    /// 503 while the node stops, and on a follower that is, or may be, too far behind.
    func ready() throws(Problem) -> Answer {
        let limit = try parameters.count("max_lag_ms")
        let staleness = node.stalenessMilliseconds()
        var reason: String?
        if !node.isReady() {
            reason = node.isDraining ? "The node is stopping" : "Nothing was heard of the leader yet"
        } else if let limit, let staleness, staleness > limit {
            reason = "This node may be \(staleness) ms behind"
        }
        return Answer(
            status: reason == nil ? 200 : 503,
            value: .map(
                [.init("status", .string(reason == nil ? "ready" : "not ready")), .init("role", .string(role))]
                    + (staleness.map { [.init("staleness_ms", .int(Int64($0)))] } ?? [])
                    + (reason.map { [.init("reason", .string($0))] } ?? [])))
    }

    func health() -> Answer {
        let ailment = node.ailment()
        return Answer(
            status: ailment == nil ? 200 : 503,
            value: .map(
                [
                    .init("status", .string(ailment == nil ? "ok" : "degraded")), .init("ready", .bool(node.isReady())),
                    .init("role", .string(role)), .init("uptime_seconds", .double(node.uptimeSeconds)),
                ] + (ailment.map { [.init("reason", .string($0))] } ?? [])))
    }

    /// What existing clients ask before anything else.
    func status() -> Answer {
        Answer(
            value: .map([
                .init("status", "ok"), .init("version", .string(node.identity.version)), .init("database", "NexaDB"),
                .init("node_id", .string(node.identity.id)), .init("role", .string(role)),
            ]))
    }

    /// The figures of STATUS, for whoever may log in.
    func statistics() async throws(Problem) -> Answer {
        let frame = try await ask(NodeRequest(.status).frame())
        let body = JSONBody(style: style, capacity: 4 << 10)
        body.append("{\"status\":\"success\",\"message\":\"Figures of this node\",\"stats\":")
        let failure = frame.payload.withUnsafeReadableBytes { bytes -> Problem? in
            do throws(Problem) {
                try body.append(raw: bytes)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        body.append("}")
        return finish(Answer(json: body.output), frame)
    }

    /// Prometheus text: of use to whoever may log in, where the node asks for that.
    func metrics() async throws(Problem) -> Answer {
        try await withNode { _ throws(Problem) in }
        return Answer(text: node.metricsText(), type: "text/plain; version=0.0.4; charset=utf-8")
    }

    var role: String { node.roleInCluster }
}
