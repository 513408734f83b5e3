"""How to start RabbitMQ with its MQTT plugins for a test: unprivileged, alone, in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.process import free_port

# Not the command of the package, which changes to the user and the folders of the system's server.
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"

_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"


def write_config(folder: Path, ports: Mapping[str, int]) -> str:
    """Write which plugins run; return the configuration, with a listener for each transport."""
    (folder / "enabled_plugins").write_text("[rabbitmq_mqtt,rabbitmq_web_mqtt].\n")
    return (
        "listeners.tcp = none\nlog.console = true\nlog.file = false\n"
        f"mqtt.allow_anonymous = true\nmqtt.listeners.tcp.1 = 127.0.0.1:{ports['mqtt']}\n"
        f"web_mqtt.tcp.ip = 127.0.0.1\nweb_mqtt.tcp.port = {ports['ws']}\n"
        "web_mqtt.ws_path = /mqtt\n"
    )


def environment(folder: Path, config: Path, names_port: int) -> dict[str, str]:
    """Return what the server is told by variables: where all its files are, and its two ports.

    Args:
        folder: for everything that it writes.
        config: its configuration file.
        names_port: where the process of `start_names` listens.

    """
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),  # of its cookie
        "RABBITMQ_NODENAME": "tests@localhost",
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature_flags"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOOPBACK,
        "ERL_EPMD_PORT": str(names_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RUNNING_UNDER_SYSTEMD": "1",  # the signals reach the server itself, not a script
    }


def start_names(port: int) -> subprocess.Popen[bytes]:
    """Start Erlang's register of names, which the server would leave behind if it started it."""
    return subprocess.Popen(
        ["epmd", "-port", str(port), "-address", "127.0.0.1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
