import Metrics
import NIOCore
import NexaWire
import Tracing

/// What a client tells swift-metrics and swift-distributed-tracing: one timer and one span per operation, by the names of
/// OpenTelemetry's conventions for databases. Costs nothing where the application bootstrapped neither before it made the client.
struct Telemetry: Sendable {
    struct Observation {
        let type: MessageType
        let began: UInt64
        let span: (any Span)?
    }

    let isActive: Bool
    private let measures: Bool
    private let traces: Bool

    init() {
        measures = !(MetricsSystem.factory is NOOPMetricsHandler)
        traces = !(InstrumentationSystem.tracer is NoOpTracer)
        isActive = measures || traces
    }

    func begin(_ request: Request, at nanoseconds: UInt64) -> Observation {
        var span: (any Span)?
        if traces {
            let name = request.type.name
            span = startSpan(request.collection.map { "\(name) \($0)" } ?? name, ofKind: .client)
            span?.attributes["db.system.name"] = "nexadb"
            span?.attributes["db.operation.name"] = name
            if let collection = request.collection { span?.attributes["db.collection.name"] = collection }
        }
        return Observation(type: request.type, began: nanoseconds, span: span)
    }

    func end(_ observation: Observation, _ error: NexaError?) {
        if measures {
            let took = Int64(clamping: NIODeadline.now().uptimeNanoseconds &- observation.began)
            Metrics.Timer(
                label: "db.client.operation.duration",
                dimensions: [
                    ("db.system.name", "nexadb"), ("db.operation.name", observation.type.name),
                    ("error.type", error?.kind.rawValue ?? ""),
                ]
            ).recordNanoseconds(took)
        }
        if let error {
            observation.span?.recordError(error)
            observation.span?.setStatus(.init(code: .error, message: error.code ?? error.kind.rawValue))
            if let code = error.code { observation.span?.attributes["db.response.status_code"] = code }
        }
        observation.span?.end()
    }
}
