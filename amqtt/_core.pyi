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
