"""What `amqtt_sub` does with a message that it has received."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amqtt.logs import printable
from amqtt.topics import TopicMatcher

if TYPE_CHECKING:
    from amqtt.client import MQTTClient
    from amqtt.scripts._message_format import MessageFormat
    from amqtt.session import ApplicationMessage

logger = logging.getLogger(__name__)


class Responder:
    """Answer the messages that are requests: those with a response topic.

    Args:
        response: what to answer, made of the request as a message is printed.
        qos: quality of service of the responses.

    """

    def __init__(self, response: MessageFormat, qos: int) -> None:
        """Make a responder."""
        self._response = response
        self._qos = qos

    async def respond(self, client: MQTTClient, message: ApplicationMessage) -> None:
        """Publish the response to a message, if it is a request.

        Args:
            client: a connected client.
            message: what was received.

        """
        properties = message.properties or {}
        topic = properties.get("response_topic")
        if not topic:
            return
        copied = {name: properties[name] for name in ("correlation_data",) if name in properties}
        more: dict[str, Any] = {"properties": copied}
        await client.publish(topic, self._response(message), self._qos, False, **more)
        logger.debug("Responded to '%s'", printable(topic))


@dataclass
class Received:
    """Say what to do with each message.

    Attributes:
        output_format: how to print it; None means the payload.
        verbose: whether to print the topic and a space before the payload.
        end: what follows each message in the output.
        filter_out: filters of topics that are not printed.
        no_retained: whether to leave out messages that were retained.
        retained_only: whether the first message that was not retained is the end.
        remove_retained: whether the broker is to forget retained messages.
        responder: what answers requests.

    """

    output_format: MessageFormat | None = None
    verbose: bool = False
    end: bytes = b"\n"
    filter_out: tuple[str, ...] = ()
    no_retained: bool = False
    retained_only: bool = False
    remove_retained: bool = False
    responder: Responder | None = None

    def is_end(self, message: ApplicationMessage) -> bool:
        """Tell whether a message is the first of those that are not wanted any more.

        Args:
            message: what was received.

        Returns:
            Whether the command ends here.

        """
        return self.retained_only and not message.retain

    def is_to_be_removed(self, message: ApplicationMessage) -> bool:
        """Tell whether the broker is to forget a message.

        Args:
            message: what was received.

        Returns:
            Whether it is a retained one that is not left out.

        """
        return self.remove_retained and bool(message.retain) and not self._is_left_out(message)

    def print(self, message: ApplicationMessage) -> bytes | None:
        """Return what to print of a message.

        Args:
            message: what was received.

        Returns:
            The bytes without the end; None when nothing is printed. Empty payloads are printed
            only with a format or the topic.

        """
        if self._is_left_out(message):
            return None
        if self.output_format is not None:
            return self.output_format(message)
        if self.verbose:
            return message.topic.encode() + b" " + bytes(message.data)
        return bytes(message.data) or None

    def _is_left_out(self, message: ApplicationMessage) -> bool:
        if self.no_retained and message.retain:
            return True
        return any(TopicMatcher.is_topic_allowed(message.topic, each) for each in self.filter_out)
