"""Restore sessions into a broker as aMQTT does it, by way of the plugin's context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from amqtt.contrib.persistence.models import StoredMessage, StoredSession
from amqtt.errors import MQTTError, PluginError
from amqtt.logs import printable
from amqtt.session import RetainedApplicationMessage

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


async def restore_as_amqtt(context: Any, sessions: async_sessionmaker[AsyncSession]) -> None:
    """Restore what is in the columns that aMQTT has; topic plugins are asked about subscriptions.

    Args:
        context: of a broker that runs, and has no sessions.
        sessions: of the database.

    Raises:
        PluginError: the broker has sessions or subscriptions already.

    """
    if list(context.sessions) or len(context.subscriptions):
        msg = "SessionDBPlugin : broker shouldn't have any sessions or subscriptions yet"
        raise PluginError(msg)
    async with sessions() as db_session:
        messages = list((await db_session.execute(select(StoredMessage))).scalars())
        stored_sessions = list((await db_session.execute(select(StoredSession))).scalars())
    for message in messages:
        await context.retain_message(message.topic, message.data, message.qos)
    for stored in stored_sessions:
        await _restore_session(context, stored)
    context.logger.info("Retained messages restored: %d", len(messages))
    context.logger.info("Restored %d sessions.", len(stored_sessions))


async def _restore_session(context: Any, stored: StoredSession) -> None:
    await context.add_subscription(stored.client_id, None, None)
    for subscription in stored.subscriptions:
        try:
            await context.add_subscription(stored.client_id, subscription.topic, subscription.qos)
        except MQTTError:
            context.logger.exception(
                "A subscription of '%s' cannot be restored", printable(stored.client_id)
            )
    session = context.get_session(stored.client_id)
    session.clean_session = stored.clean_session
    session.will_flag = stored.will_flag
    session.will_message = stored.will_message
    session.will_qos = stored.will_qos
    session.will_retain = stored.will_retain
    session.will_topic = stored.will_topic
    session.keep_alive = stored.keep_alive
    for waiting in stored.retained:
        await session.retained_messages.put(
            RetainedApplicationMessage(None, waiting.topic, waiting.payload, waiting.qos)
        )
