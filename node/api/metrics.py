"""What a monitoring system may know of a node: counts, sizes and ages, never a value.

Every label comes from a closed set: a route's template, a status, a decision, the name of a pinned
peer. Nothing that a stranger sends can become one.
"""

import os
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""Of the text that `Metrics.render` gives."""

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """The figures of one application; its own registry, so that two in one process stay apart."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # One of several processes answers each time, and counts by itself.
        Gauge(
            "schutznetz_process",
            "The process of the node that these figures are of, by its id on this machine.",
            ("process",),
            registry=self._registry,
        ).labels(str(os.getpid())).set(1)
        self._requests = Counter(
            "schutznetz_requests",
            "Requests served, by route template and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._decisions = Counter(
            "schutznetz_decisions",
            "Look-ups answered, by what was looked up and what the policy made of it.",
            ("subject", "decision"),
            registry=self._registry,
        )
        self._list_entries = self._gauge(
            "schutznetz_list_entries", "Media hashes that uploads are matched against."
        )
        self._log_size = self._gauge("schutznetz_log_size", "Statements in the node's own log.")
        self._asked = Gauge(
            "schutznetz_circle_questions",
            "Checks and bans for which circles were asked since the start, by what came of it.",
            ("outcome",),
            registry=self._registry,
        )
        self._sources = Gauge(
            "schutznetz_source_matches",
            "Matches of an organisation's entries: those that act, and those that do not.",
            ("organisation", "outcome"),
            registry=self._registry,
        )
        self._not_asked = self._gauge(
            "schutznetz_circle_holders_not_asked",
            "Holders of circles' keys that gave a false answer or keep failing.",
        )
        self._lag = Gauge(
            "schutznetz_sync_age_seconds",
            "Time since a peer's log was last taken over as a whole.",
            ("peer",),
            registry=self._registry,
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def count_request(self, method: str, route: str, status: int) -> None:
        """Counts one request; a method that HTTP does not name counts as ``other``."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()

    def count_decision(self, subject: str, decision: str) -> None:
        """Counts one decision about a `subject`: ``media``, ``account`` or ``stream``."""
        self._decisions.labels(subject, decision).inc()

    def observe(
        self,
        *,
        list_entries: int,
        log_size: int,
        sync_age_s: Mapping[str, float],
        circles_asked: Mapping[str, int],
        source_matches: Mapping[tuple[str, str], int],
        holders_not_asked: int,
    ) -> None:
        """Takes over what is read at the moment of being asked.

        Args:
            list_entries: media hashes in the index.
            log_size: statements in the node's own log.
            sync_age_s: seconds since the last whole sync, by name of the peer.
            source_matches: matches by organisation and outcome, ``acted`` or ``shadow``.
            circles_asked: how often circles were asked, by outcome.
            holders_not_asked: holders of circles' keys that are left out.
        """
        for (organisation, outcome), count in source_matches.items():
            self._sources.labels(organisation, outcome).set(count)
        for outcome, count in circles_asked.items():
            self._asked.labels(outcome).set(count)
        self._not_asked.set(holders_not_asked)
        self._list_entries.set(list_entries)
        self._log_size.set(log_size)
        self._lag.clear()
        for peer, age_s in sync_age_s.items():
            self._lag.labels(peer).set(age_s)

    def render(self) -> bytes:
        """Returns all figures in Prometheus' text format."""
        return generate_latest(self._registry)
