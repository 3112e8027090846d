"""OpenTelemetry, where `opentelemetry-api` is installed: a span for each operation and the usual metric of its duration.

`NexaClient(..., telemetry=True)` turns it on; `OpenTelemetryListener` can also be added by hand, with providers of one's own. Documents,
filters and keys are never recorded.
"""

from __future__ import annotations

import time
from typing import Any

from .errors import ConfigurationError
from .events import CommandEvent, ConnectionEvent


class OpenTelemetryListener:
    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None):
        try:
            from opentelemetry import metrics, trace
        except ImportError:
            raise ConfigurationError("telemetry needs the package opentelemetry-api: pip install 'nexadb[telemetry]'") from None
        self._kind = trace.SpanKind.CLIENT
        self._failed = trace.Status(trace.StatusCode.ERROR)
        self._tracer = trace.get_tracer("nexadb", tracer_provider=tracer_provider)
        meter = metrics.get_meter("nexadb", meter_provider=meter_provider)
        self._duration = meter.create_histogram("db.client.operation.duration", unit="s", description="Duration of operations")

    def __call__(self, event: CommandEvent | ConnectionEvent) -> None:
        if not isinstance(event, CommandEvent):
            return
        attributes: dict[str, str | int] = {
            "db.system.name": "nexadb",
            "db.operation.name": event.operation,
            "db.namespace": event.database,
        }
        if event.collection is not None:
            attributes["db.collection.name"] = event.collection
        if event.address is not None:
            attributes["server.address"], attributes["server.port"] = event.address
        if event.error is not None:
            attributes["error.type"] = type(event.error).__name__
            attributes["db.response.status_code"] = str(getattr(event.error, "code", ""))
        self._duration.record(event.seconds, attributes)
        end = time.time_ns()
        name = f"{event.operation} {event.collection}" if event.collection else event.operation
        span = self._tracer.start_span(name, kind=self._kind, attributes=attributes, start_time=end - int(event.seconds * 1e9))
        if event.attempts > 1:
            span.set_attribute("db.nexadb.attempts", event.attempts)
        if event.error is not None:
            span.set_status(self._failed)
        span.end(end)
