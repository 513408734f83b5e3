"""Small helpers: client ids, user names, YAML files and imports by name."""

from __future__ import annotations

import importlib
import logging
import string
import sys
import unicodedata
from pathlib import Path
from typing import Any, Protocol

import yaml

from amqtt._config.yaml import load_yaml
from amqtt.logs import printable

logger = logging.getLogger(__name__)


class _Named(Protocol):
    client_id: str | None


_CLIENT_ID_CHARACTERS = string.ascii_letters + string.digits


def format_client_message(
    session: _Named | None = None, address: str | None = None, port: int | None = None
) -> str:
    """Name a client for a log line.

    Args:
        session: the client's session; it is preferred to the address.
        address: the address of the peer.
        port: the port of the peer.

    Returns:
        `(client id=...)`, else `(client @=address:port)`, else `(unknown client)`.

    """
    if session is not None:
        return f"(client id={printable(session.client_id)})"
    if address is not None and port is not None:
        return f"(client @={address}:{port})"
    return "(unknown client)"


def gen_client_id() -> str:
    """Make a random client id.

    Returns:
        `amqtt/` and 16 letters and digits.

    """
    import secrets  # a broker gets along without

    return "amqtt/" + "".join(secrets.choice(_CLIENT_ID_CHARACTERS) for _ in range(16))


def user_name_problem(name: str) -> str | None:
    """Say why a new user must not have a name.

    Clients may call themselves so, and brokers compare names character by character. But whoever
    reads such a name, in a file or a list, takes it for another one or for several.

    Args:
        name: the name.

    Returns:
        What is wrong with it; None when it may be used. Control characters, line separators, white
        space other than ordinary spaces, surrogates and spaces at an end are wrong.

    """
    if not name:
        return "it is empty"
    for character in name:
        category = unicodedata.category(character)
        if category in ("Cc", "Cs", "Zl", "Zp") or (category == "Zs" and character != " "):
            return f"it has the character U+{ord(character):04X}"
    return "it begins or ends with a space" if name != name.strip() else None


def load_yaml_config(config_file: str | Path) -> Any:
    """Read a YAML file and report everything that is wrong with it, a key given twice included.

    Args:
        config_file: path of the file, in UTF-8.

    Returns:
        The content of the file; None when it is empty.

    Raises:
        OSError: the file is missing or cannot be read.
        UnicodeDecodeError: the file is not UTF-8.
        yaml.YAMLError: the file is not YAML.

    """
    with Path(config_file).open(encoding="utf-8") as stream:
        return load_yaml(stream)


def read_yaml_config(config_file: str | Path) -> dict[str, Any] | None:
    """Read a configuration from a YAML file; log what is wrong with its syntax.

    Args:
        config_file: path of the file, in UTF-8.

    Returns:
        The content of the file; None when it is empty or not YAML.

    Raises:
        FileNotFoundError: there is no such file.

    """
    try:
        config: dict[str, Any] | None = load_yaml_config(config_file)
    except yaml.YAMLError as error:
        logger.error("Configuration file '%s' is not valid YAML: %s", config_file, error)
        return None
    return config


def cached_import(module_path: str, class_name: str | None = None) -> Any:
    """Import a module, or an attribute of it, unless it is imported already.

    Args:
        module_path: dotted name of the module.
        class_name: name of an attribute of the module.

    Returns:
        The attribute, or the module when `class_name` is not given.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such attribute.

    """
    module = sys.modules.get(module_path)
    spec = getattr(module, "__spec__", None)
    # A module that another thread is still executing is in sys.modules, but not complete;
    # import_module waits for it.
    if module is None or spec is None or getattr(spec, "_initializing", False):
        module = importlib.import_module(module_path)
    return getattr(module, class_name) if class_name else module


def import_string(dotted_path: str) -> Any:
    """Import an attribute by its full name.

    Args:
        dotted_path: name of the module, a dot, name of the attribute.

    Returns:
        The attribute.

    Raises:
        ImportError: the path has no dot, or module or attribute do not exist.

    """
    module_path, dot, name = dotted_path.rpartition(".")
    if not dot or not module_path:
        msg = f"'{dotted_path}' is not the dotted path of an attribute of a module"
        raise ImportError(msg)
    try:
        return cached_import(module_path, name)
    except AttributeError as error:
        msg = f"Module '{module_path}' has no attribute '{name}'"
        raise ImportError(msg) from error
