"""What a client asks for when it subscribes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amqtt.errors import ClientError
from amqtt.logs import printable
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.topics import SHARED, has_share_name, topic_filter_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    # As the engine takes it: filter; QoS, no local, retain as published, retain handling.
    EngineFilter = tuple[str, tuple[int, bool, bool, int]]

_REFUSED = 0x80
_logger = logging.getLogger("amqtt.client")


@dataclass(frozen=True)
class Subscription:
    """Ask for the messages of a topic filter, with the options of MQTT 5.0.

    Attributes:
        topic: topic filter.
        qos: the highest quality of service to receive, 0 to 2.
        no_local: whether the client's own messages are left out.
        retain_as_published: whether messages keep the retain flag they were published with.
        retain_handling: 0 to get retained messages, 1 only if the subscription is new, 2 not.

    """

    topic: str
    qos: int = QOS_0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0

    @property
    def has_options(self) -> bool:
        """Whether it says something that MQTT 3 cannot."""
        return self.no_local or self.retain_as_published or self.retain_handling != 0


class SubscriptionBook:
    """Remember the subscriptions, so that they can be made again."""

    def __init__(self) -> None:
        """Begin without any."""
        self._made: dict[str, tuple[EngineFilter, dict[str, Any] | None]] = {}

    def __contains__(self, topic_filter: str) -> bool:
        """Tell whether there is a subscription to a filter."""
        return topic_filter in self._made

    def add(
        self, filters: list[EngineFilter], codes: Sequence[int], properties: dict[str, Any] | None
    ) -> list[EngineFilter]:
        """Note what the server has granted, and return that."""
        made = [each for each, code in zip(filters, codes, strict=False) if code < _REFUSED]
        for each in made:
            self._made[each[0]] = each, properties
        return made

    def restore(self, made: Iterable[tuple[EngineFilter, dict[str, Any] | None]]) -> None:
        """Begin with what an earlier process has noted."""
        self._made = {each[0]: (each, properties) for each, properties in made}

    def remove(self, filters: Iterable[str]) -> None:
        """Note what was unsubscribed."""
        for each in filters:
            self._made.pop(each, None)

    def clear(self) -> None:
        """Forget all."""
        self._made.clear()

    def requests(self) -> list[tuple[list[EngineFilter], dict[str, Any] | None]]:
        """Return what to subscribe to again: filters, and the properties that go with them."""
        groups: list[tuple[list[EngineFilter], dict[str, Any] | None]] = []
        for each, properties in self._made.values():
            if not groups or groups[-1][1] != properties:
                groups.append(([], properties))
            groups[-1][0].append(each)
        return groups


def engine_filters(
    topics: Iterable[tuple[str, int] | Subscription], *, has_options: bool
) -> list[EngineFilter]:
    """Check what is to be subscribed to.

    Args:
        topics: pairs of filter and QoS, or subscriptions.
        has_options: whether the protocol has options of subscriptions.

    Returns:
        What the engine is given.

    Raises:
        ClientError: there is no filter, a QoS is out of range, or an option is not available.

    """
    filters: list[EngineFilter] = []
    for each in topics:
        one = each if isinstance(each, Subscription) else Subscription(*each)
        check_filter_text(one.topic)
        if one.qos not in (QOS_0, QOS_1, QOS_2):
            msg = f"QoS {one.qos!r} for '{printable(one.topic)}' is out of range: must be 0, 1 or 2"
            raise ClientError(msg)
        if one.has_options and not has_options:
            msg = f"Options of the subscription to '{printable(one.topic)}' need protocol_version 5"
            raise ClientError(msg)
        if has_options and one.topic.startswith(SHARED):
            _check_share(one.topic)
        if one.no_local and one.topic.startswith(SHARED):
            shown = printable(one.topic)
            msg = f"[MQTT-3.8.3-4] '{shown}' is a shared subscription: no_local is not for it"
            raise ClientError(msg)
        options = (one.qos, one.no_local, one.retain_as_published, one.retain_handling)
        filters.append((one.topic, options))
    if not filters:
        msg = "[MQTT-3.8.3-3] subscribe() needs at least one topic filter"
        raise ClientError(msg)
    return filters


def _check_share(topic_filter: str) -> None:
    """Refuse a shared subscription without the name of its group, or without a filter."""
    if not has_share_name(topic_filter):
        msg = f"[MQTT-4.8.2-1] '{printable(topic_filter)}' is none of the form $share/name/filter"
        raise ClientError(msg)


def is_malformed(topic_filter: str) -> bool:
    """Tell whether a filter must not be sent to a server; it is logged.

    A call does not fail for one filter among others: it gets the code that a server would refuse
    it with.
    """
    problem = topic_filter_problem(topic_filter)
    if problem is not None:
        _logger.warning("%r is no topic filter: %s", topic_filter, problem)
    return problem is not None


def with_refusals(codes: Iterable[int], malformed: Sequence[bool], refusal: int) -> list[int]:
    """Put the codes of filters that were not sent between those of the others.

    Args:
        codes: of the server.
        malformed: for each filter of the call, whether it was not sent.
        refusal: the code of such a filter.

    """
    of_server = iter(codes)
    return [refusal if each else next(of_server, refusal) for each in malformed]


def check_filter_text(topic_filter: str) -> None:
    """Refuse what cannot be sent.

    Raises:
        ClientError: the filter is no text, or cannot be written as UTF-8.

    """
    if isinstance(topic_filter, str):
        try:
            topic_filter.encode()
        except UnicodeEncodeError:
            pass
        else:
            return
    msg = f"The topic filter {topic_filter!r} cannot be written as UTF-8"
    raise ClientError(msg)
