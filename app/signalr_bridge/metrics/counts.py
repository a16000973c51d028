"""Counters and histograms that cost a request next to nothing, and are written out when Prometheus asks.

Those of ``prometheus_client`` take a lock for each number, because threads may share them. The observer is told in the
event loop alone, so plain numbers do. With them a send costs a third.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Counts(Collector):
    """One counter for each combination of labels.

    Args:
        name: The name of the metric, without ``_total``.
        what: What is counted, in one sentence.
        labels: The names of the labels.
    """

    def __init__(self, name: str, what: str, *labels: str) -> None:
        self._name, self._what, self._labels = name, what, labels
        self._numbers: dict[tuple[str, ...], int] = {}

    def add(self, *values: str, number: int = 1) -> None:
        """Count once more for these values of the labels, or ``number`` times. 0 only shows the counter."""
        numbers = self._numbers
        numbers[values] = numbers.get(values, 0) + number

    def collect(self) -> Iterator[Metric]:
        """The metric at this moment."""
        metric = CounterMetricFamily(self._name, self._what, labels=self._labels)
        for values, number in self._numbers.items():
            metric.add_metric(values, number)
        yield metric


class Durations(Collector):
    """One histogram for each combination of labels.

    Args:
        name: The name of the metric.
        what: What is measured, in one sentence.
        bounds: The upper bounds of the buckets, in seconds, from the least on. The last bucket has no bound.
        labels: The names of the labels.
    """

    def __init__(self, name: str, what: str, bounds: Sequence[float], *labels: str) -> None:
        self._name, self._what, self._labels = name, what, labels
        self._bounds = tuple(bounds)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, seconds: float, *values: str) -> None:
        """Measure so many seconds for these values of the labels."""
        counts = self._counts.get(values)
        if counts is None:
            counts = self._counts[values] = [0] * (len(self._bounds) + 1)
            self._sums[values] = 0.0
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[values] += seconds

    def collect(self) -> Iterator[Metric]:
        """The metric at this moment."""
        metric = HistogramMetricFamily(self._name, self._what, labels=self._labels)
        for values, counts in self._counts.items():
            metric.add_metric(values, self._add_up(counts), self._sums[values])
        yield metric

    def _add_up(self, counts: Sequence[int]) -> list[tuple[str, float]]:
        """The buckets as Prometheus has them: each holds all that is not above its bound."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, math.inf), counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == math.inf else str(float(bound)), float(total)))
        return buckets
