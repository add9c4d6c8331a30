"""The metrics of an embedded gateway, under the names and labels that OpenFaaS's gateway uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dfaas_lab.local.services import Service


class GatewayMetrics:
    """Counts what a gateway does."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.registry = CollectorRegistry()
        self._total = Counter(
            "gateway_function_invocation",
            "Function metrics",
            ["function_name", "code"],
            registry=self.registry,
        )
        # A counter in OpenFaaS; prometheus_client would append "_total" to a counter's name.
        self._started = Gauge(
            "gateway_function_invocation_started",
            "The total number of function HTTP requests started.",
            ["function_name"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "gateway_functions_seconds",
            "Function time taken",
            ["function_name", "code"],
            registry=self.registry,
        )
        self.registry.register(_Scale(services))

    def started(self, service: Service) -> None:
        """Count a request that reached a function."""
        service.invocations += 1
        self._started.labels(service.full_name).inc()

    def answered(self, service: Service, code: int, duration_s: float) -> None:
        """Count an answer."""
        labels = service.full_name, str(code)
        self._total.labels(*labels).inc()
        self._seconds.labels(*labels).observe(duration_s)


class _Scale(Collector):
    def __init__(self, services: Iterable[Service]) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Return the scale, and what cAdvisor tells on Kubernetes: processor time and memory."""
        name = ["function_name"]
        count = GaugeMetricFamily(
            "gateway_service_count", "Current count of replicas for function", labels=name
        )
        cpu = CounterMetricFamily(
            "lab_function_cpu_seconds", "CPU time of executions that ended", labels=name
        )
        memory = GaugeMetricFamily(
            "lab_function_memory_bytes", "Memory of running executions", labels=name
        )
        for service in self._services:
            count.add_metric([service.full_name], service.replicas)
            cpu.add_metric([service.full_name], service.usage.cpu_s)
            memory.add_metric([service.full_name], service.usage.memory_bytes())
        yield from (count, cpu, memory)
