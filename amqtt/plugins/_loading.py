"""Turn the plugins of a configuration into classes and options."""

from __future__ import annotations

import dataclasses
import inspect
import traceback
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import dacite

from amqtt._config.dictable import plugins_by_path
from amqtt._config.hydrate import ConfigValueError, describe_value, hydrate
from amqtt.contexts import default_broker_plugins
from amqtt.errors import PluginCoroError, PluginImportError, PluginLoadError
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin
from amqtt.plugins.enhanced_authentication import BaseEnhancedAuthPlugin
from amqtt.utils import import_string

_BROKER_SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"


def load_configured(plugins: Any) -> Iterator[tuple[type[BasePlugin[Any]], Any]]:
    """Import configured plugins and read their options.

    Args:
        plugins: options by dotted path, or a list of paths and of such mappings.

    Yields:
        Class and instance of its `Config`, in the order of the configuration.

    Raises:
        PluginImportError: a class cannot be imported.
        PluginLoadError: it is no plugin, or its options are wrong.

    """
    try:
        by_path = plugins_by_path(plugins) or {}
    except ConfigValueError as error:
        raise PluginLoadError(str(error)) from error
    if _BROKER_SYS in by_path and by_path != default_broker_plugins():
        warnings.warn(
            "'BrokerSysPlugin' without the extra 'amqtt[dollarsys]' is deprecated",
            DeprecationWarning,
            stacklevel=5,
        )
    for path, options in by_path.items():
        plugin_class = _import_plugin(path)
        yield plugin_class, _read_options(plugin_class, path, options)


def _import_plugin(path: str) -> type[BasePlugin[Any]]:
    try:
        plugin_class = import_string(path)
    except Exception as error:  # what the module of a plugin does at its import may fail in any way
        msg = f"Plugin import failed: {path}{_more_about(error, path)}"
        raise PluginImportError(msg) from error
    if not inspect.isclass(plugin_class) or not issubclass(plugin_class, BasePlugin):
        msg = f"Plugin '{path}' is not a subclass of 'BasePlugin'"
        raise PluginLoadError(msg)
    return plugin_class


def _more_about(error: Exception, path: str) -> str:
    """Say what the text of an error leaves out: where it is, or how it is remedied."""
    if isinstance(error, ModuleNotFoundError):
        lacks_extra = path.startswith("amqtt.contrib.") and not (error.name or "").startswith(
            "amqtt"
        )
        return f": {error}: pip install amqtt[contrib]" if lacks_extra else ""
    if isinstance(error, ImportError | SyntaxError):  # which name the module and the line
        return ""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f": {last.filename}, line {last.lineno}: {type(error).__name__}: {error}"


def _read_options(plugin_class: type[BasePlugin[Any]], path: str, options: Any) -> Any:
    config_class = plugin_class.Config
    if not dataclasses.is_dataclass(config_class):
        msg = f"Could not marshall 'Config' of {path}; should be a dataclass."
        raise PluginLoadError(msg)
    if options is not None and not isinstance(options, Mapping):
        found = describe_value(options)
        msg = f"Plugin '{path}': options: expected a mapping or null, found {found}"
        raise PluginLoadError(msg)
    try:
        return hydrate(config_class, options or {}, "options")
    except (dacite.DaciteError, ValueError, FileNotFoundError, TypeError) as error:
        msg = f"Plugin '{path}': {error}"
        raise PluginLoadError(msg) from error


def check_decision_methods(plugin_class: Any) -> None:
    """Check that the methods that decide are coroutine functions.

    Args:
        plugin_class: class of a plugin.

    Raises:
        PluginCoroError: one is not.

    """
    if not inspect.isclass(plugin_class):
        return
    for base, method in (
        (BaseAuthPlugin, "authenticate"),
        (BaseAuthPlugin, "psk_key"),
        (BaseAuthPlugin, "still_allowed"),
        (BaseEnhancedAuthPlugin, "still_allowed"),
        (BaseTopicPlugin, "topic_filtering"),
        (BaseEnhancedAuthPlugin, "authenticate_step"),
    ):
        if not issubclass(plugin_class, base):
            continue
        if not inspect.iscoroutinefunction(getattr(plugin_class, method)):
            msg = f"'{method}' of plugin '{plugin_class.__name__}' is not a coroutine function"
            raise PluginCoroError(msg)
