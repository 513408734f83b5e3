"""What a delivery costs on other transports, and with MQTT 5.0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.load import peers
from benchmarks.load.answers import Answer, Bench

CPU = "br_cpu_s_per_m_out"
P1 = ("pairs", "--P", "1", "--window", "1000", "--secs", "2")
P1_Q1 = ("pairs", "--P", "1", "--window", "100", "--qos", "1", "--secs", "2")
P50 = ("pairs", "--P", "50", "--window", "10", "--secs", "2")
P50_Q1 = ("pairs", "--P", "50", "--window", "10", "--qos", "1", "--secs", "2")


def _ratios(bench: Bench, args: Sequence[str], *, other: Sequence[str]) -> tuple[float, float]:
    """Return how many times the CPU of `args` a run with other options takes, for both brokers."""

    def ratio(peer: peers.Peer) -> float:
        plain = float(bench.load(peer, *args)[CPU])
        return float(bench.load(peer, *args, *other)[CPU]) / plain

    return bench.both(ratio)


def versions(bench: Bench) -> Iterator[Answer]:
    """Compare MQTT 5.0 with 3.1.1."""
    for name, args in (("p1_q0", P1), ("p1_q1", P1_Q1), ("p50_q0", P50)):
        ratios = _ratios(bench, args, other=("--ver", "5"))
        yield Answer(f"CPU of 5.0, times that of 3.1.1, {name}", *ratios, "1.1", 2)


def tls(bench: Bench) -> Iterator[Answer]:
    """Compare deliveries over TLS."""
    certificate = peers.make_certificate(bench.folder)
    for name, args in (("p50_q0", P50), ("p50_q1", P50_Q1)):

        def cost(peer: peers.Peer, args: Sequence[str] = args) -> float:
            return float(bench.load(peer, *args, tls=True)[CPU])

        ours, theirs = bench.both(cost, certificate=certificate)
        yield Answer(f"CPU s per million over TLS, {name}", ours, theirs, "a third", 2)


def handshakes(bench: Bench) -> Iterator[Answer]:
    """Count the clients that come in a second over TLS, where a second thread has work to do."""
    certificate = peers.make_certificate(bench.folder)
    ours = peers.amqtt_spec(certificate=certificate)
    more = peers.amqtt_spec(name="threads2", certificate=certificate, threads=2)

    def rate(peer: peers.Peer) -> float:
        row = bench.load(peer, "connect", "--count", "3000", "--conc", "50", tls=True)
        return float(row["conn_s"])

    one, two, theirs = bench.medians([ours, more, peers.mosquitto_spec(certificate)], rate)
    yield Answer("connections a second over TLS", one, theirs, "mosquitto's")
    yield Answer("the same with 2 threads, times as many", two / one, None, "more", 2)


def websocket(bench: Bench) -> Iterator[Answer]:
    """Compare deliveries over WebSocket with those over TCP."""
    plain, framed = peers.amqtt_spec(), peers.amqtt_spec(name="amqtt-ws", kind="ws")
    for name, args in (("p1_q0", P1), ("p50_q0", P50), ("p50_q1", P50_Q1)):

        def cost(peer: peers.Peer, args: Sequence[str] = args) -> float:
            more = ("--ws", "1") if peer.spec is framed else ()
            return float(bench.load(peer, *args, *more)[CPU])

        tcp, ws = bench.medians([plain, framed], cost)
        yield Answer(f"CPU over WebSocket, times that over TCP, {name}", ws / tcp, None, "1.5", 2)
