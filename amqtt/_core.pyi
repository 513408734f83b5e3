from typing import Any

class BrokerEngine:
    def __init__(
        self,
        *,
        max_inflight_messages: int,
        max_queued_messages: int,
        max_queued_bytes: int,
        session_expiry: float | None,
        keep_alive_extra: int,
        max_qos: int,
        quotas: dict[str, int],
        protocol: dict[str, bool | int | str],
        authenticate_anonymous: bool,
        allow_anonymous: bool,
        event_log: bool,
    ) -> None: ...
    def listen(
        self,
        *,
        name: str,
        host: str,
        port: int,
        unix_path: str,
        unix_mode: int | None,
        max_connections: int,
        limits: dict[str, object],
        tls: dict[str, str | bool | list[tuple[str, str, list[str]]]] | None,
        websocket: tuple[str, list[str]] | None,
        proxies: list[str] | None,
    ) -> list[tuple[str, int]]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def reload_certificates(self) -> list[tuple[str, str]]: ...
    def publish(
        self, topic: str, payload: bytes | bytearray, qos: int | None, retain: bool
    ) -> None: ...
    def status(self) -> dict[str, int | dict[str, int]]: ...
    def fileno(self) -> int: ...
    def take_events(self, most: int) -> tuple[list[tuple[int, str, str]], bool]: ...

class ClientEngine:
    def __init__(self) -> None: ...
    def open(self) -> int: ...
    def stop(self) -> None: ...
    def fileno(self) -> int: ...
    def take_events(self, most: int) -> tuple[list[tuple[object, ...]], bool]: ...
    def connect(
        self,
        client: int,
        ticket: int,
        *,
        host: str,
        port: int,
        client_id: str,
        clean_session: bool,
        keep_alive: int,
        ping_after: int,
        user_name: str | None,
        password: bytes | None,
        will: tuple[str, bytes, int, bool] | None,
    ) -> None: ...
    def publish(
        self,
        client: int,
        ticket: int,
        topic: str,
        payload: bytes | bytearray,
        qos: int,
        retain: bool,
    ) -> None: ...
    def subscribe(self, client: int, ticket: int, filters: list[tuple[str, int]]) -> None: ...
    def unsubscribe(self, client: int, ticket: int, filters: list[str]) -> None: ...
    def ping(self, client: int, ticket: int) -> None: ...
    def disconnect(self, client: int, ticket: int) -> None: ...
    def abort(self, client: int, ticket: int) -> None: ...
    def cancel(self, client: int, ticket: int) -> None: ...
    def forget(self, client: int) -> None: ...

# Packet type, flags and Remaining Length; behind them, with None for what the version or the packet
# does not have:
#   CONNECT: level, flags, keep alive, client identifier, will (topic, payload, properties), user
#       name, password, properties
#   CONNACK: session present, code, properties
#   PUBLISH: topic, packet identifier, payload, properties
#   PUBACK, PUBREC, PUBREL, PUBCOMP: packet identifier, Reason Code, properties
#   SUBSCRIBE: packet identifier, list of (filter, QoS, no local, retain as published, retain
#       handling), properties
#   SUBACK, UNSUBACK: packet identifier, list of codes, properties
#   UNSUBSCRIBE: packet identifier, list of filters, properties
#   DISCONNECT, AUTH: Reason Code, properties
#   PINGREQ, PINGRESP: nothing
# Raises MQTTError.
def decode_packet(
    data: bytes | bytearray | memoryview, protocol_version: int
) -> tuple[Any, ...]: ...

# The values, or how many bytes are missing at least; fields.hpp has the letters of a layout.
# Raises MQTTError.
def read_fields(layout: str, data: bytes | bytearray) -> tuple[Any, ...] | int: ...
def write_fields(layout: str, *args: object) -> bytes: ...

# data begins with the Property Length, and so does the result of encode_properties.
# Raises MQTTError.
def decode_properties(packet_type: int, data: bytes, of_will: bool) -> dict[str, Any]: ...
def encode_properties(properties: dict[str, Any]) -> bytes: ...
