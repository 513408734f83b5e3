"""What a module for mosquitto_pyauth imports as `mosquitto_auth`."""

from __future__ import annotations

import logging

from amqtt.plugins import TopicMatcher

logger = logging.getLogger("amqtt.broker.plugins.PyAuthPlugin")

MOSQ_ACL_NONE = 0
MOSQ_ACL_READ = 1
MOSQ_ACL_WRITE = 2
MOSQ_ACL_SUBSCRIBE = 4

LOG_INFO = 1
LOG_NOTICE = 2
LOG_WARNING = 4
LOG_ERR = 8
LOG_DEBUG = 16
LOG_SUBSCRIBE = 32
LOG_UNSUBSCRIBE = 64

_LEVELS = {
    LOG_INFO: logging.INFO,
    LOG_NOTICE: logging.INFO,
    LOG_WARNING: logging.WARNING,
    LOG_ERR: logging.ERROR,
}


def topic_matches_sub(sub: str, topic: str) -> bool:
    """Tell whether a filter matches a topic.

    Args:
        sub: topic filter.
        topic: topic name.

    Returns:
        True when it matches.

    """
    return TopicMatcher.is_topic_allowed(topic, sub)


def log(level: int, text: str) -> None:
    """Write a record to the log of the broker.

    Args:
        level: one of `LOG_*`.
        text: what is written.

    """
    logger.log(_LEVELS.get(level, logging.DEBUG), "%s", text)
