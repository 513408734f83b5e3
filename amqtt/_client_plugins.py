"""The plugins of a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dacite

from amqtt._hydrate import hydrate
from amqtt.errors import PluginLoadError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKET_LOGGER = "amqtt.plugins.logging_amqtt.PacketLoggerPlugin"


@dataclass
class _NoOptions:
    """The options of a plugin that has none."""


def check_client_plugins(plugins: Mapping[str, Any] | None) -> None:
    """Refuse what a client's configuration asks for and this version does not have.

    Args:
        plugins: options by the dotted path of the plugin class; None means entry points.

    Raises:
        PluginLoadError: a plugin is not available in this version, or an option is wrong.

    """
    for path, options in (plugins or {}).items():
        if path != _PACKET_LOGGER:
            msg = f"Plugin '{path}' is not available in this version"
            raise PluginLoadError(msg)
        try:
            hydrate(_NoOptions, {} if options is None else options, "options")
        except (dacite.DaciteError, ValueError) as error:
            msg = f"Plugin '{path}': {error}"
            raise PluginLoadError(msg) from error
