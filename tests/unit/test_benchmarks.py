"""The benchmark scripts: choice of scenarios, arithmetic of the report, account of messages."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import measure, peers, report, run, scenarios, tools
from benchmarks.python import clients, environments, plugins
from benchmarks.python.child import Child, ChildError
from benchmarks.python.driver import HEADER, MAGIC, Job, Meter, count_faults, make_payloads

Row = dict[str, Any]


def flow_row(label: str, rep: int, rate: float, cpu: float, **changes: object) -> Row:
    """Make the result line of a throughput run."""
    row: Row = {
        "scenario": "pairs", "key": "p1_q0", "kind": "pairs", "label": label, "rep": rep,
        "args": "pairs --P 1 --window 1000 --secs 2", "ok": 1, "expected": 1000,
        "delivered": 1000, "lost": 0, "out_s": rate, "br_cpu_s_per_m_out": cpu,
        "rss_peak_kb": 8000, "lg_cpu_pct": 60.0, "br_cpu_pct": 99.0, "other_cpu_pct": 1.0,
        "broker_alive": True, "is_broker": True, "lossy": False,
    }  # fmt: skip
    row.update(changes)
    return row


@pytest.fixture
def rows() -> list[Row]:
    """Return three repetitions of one scenario on two brokers and the floor."""
    found = []
    for rep, (rate, cpu) in enumerate([(200, 4.0), (240, 5.0), (220, 4.5)]):
        found.append(flow_row("mosquitto", rep, rate / 2, cpu * 2))
        found.append(flow_row("amqtt", rep, rate, cpu))
        found.append(flow_row("floor", rep, rate * 4, cpu / 4, is_broker=False))
    return found


class TestScenarios:
    def test_file_is_readable_and_quick_ones_are_in_it(self) -> None:
        found = scenarios.load()
        assert {s.key for s in found} >= set(scenarios.QUICK)
        kinds = {"pairs", "fanin", "fanout", "connect", "idle", "retained", "subs", "takeover"}
        assert all(s.kind in kinds for s in found)

    def test_default_leaves_out_mqtt5(self) -> None:
        chosen = scenarios.select(scenarios.load(), None)
        keys = [s.key for s in chosen]
        assert "p1_q0" in keys
        assert not [k for k in keys if k.endswith("_v5")]

    def test_quick(self) -> None:
        chosen = scenarios.select(scenarios.load(), None, quick=True)
        assert [s.key for s in chosen] == list(scenarios.QUICK)

    def test_names_and_patterns_keep_the_order_of_the_file(self) -> None:
        chosen = scenarios.select(scenarios.load(), "p1_q1_v5, p1_q?", quick=True)
        assert [s.key for s in chosen] == ["p1_q0", "p1_q1", "p1_q2", "p1_q1_v5"]

    def test_unknown_name(self) -> None:
        with pytest.raises(scenarios.ScenarioError, match="nothing_like_it"):
            scenarios.select(scenarios.load(), "p1_q0,nothing_like_it")

    def test_flags_and_comments(self) -> None:
        one, two = scenarios.parse(
            "# c\n\na: pairs --P 1 @ floor, lossy  # why\nb: idle --count 7\n"
        )
        assert (one.floor, one.lossy, one.args) == (True, True, ("pairs", "--P", "1"))
        assert (one.aim, scenarios.parse("a: pairs @ floor, aim=3.5")[0].aim) == (None, 3.5)
        assert (two.floor, two.option("--count", "1"), two.option("--P", "3")) == (False, "7", "3")

    @pytest.mark.parametrize(
        "text", ["a pairs", "a:", "a: pairs @ fast", "a: pairs @ aim=x", "a: idle\na: idle"]
    )
    def test_bad_lines(self, text: str) -> None:
        with pytest.raises(scenarios.ScenarioError):
            scenarios.parse(text)


class TestPlan:
    def test_order_rotates_and_floor_only_where_it_can(self) -> None:
        specs = [
            peers.PeerSpec("a", lambda _port, _folder: []),
            peers.PeerSpec("b", lambda _port, _folder: []),
            peers.PeerSpec("f", lambda _port, _folder: [], is_broker=False),
        ]
        able, not_able = scenarios.parse("x: pairs @ floor\ny: subs")
        turns = list(measure.Plan([able, not_able], specs, reps=2).turns())
        told = [(rep, s.key, spec.name) for rep, s, spec in turns]
        assert told == [
            (0, "x", "a"), (0, "x", "b"), (0, "x", "f"), (0, "y", "a"), (0, "y", "b"),
            (1, "x", "b"), (1, "x", "f"), (1, "x", "a"), (1, "y", "b"), (1, "y", "a"),
        ]  # fmt: skip

    def test_output_of_the_load_generator(self) -> None:
        output = '{"event":"up","up":3}\n{"scenario":"idle","ok":1}\n'
        assert measure.parse_output(output, "") == {"scenario": "idle", "ok": 1}
        assert measure.parse_output("", "bind: no\n") == {"error": "bind: no"}
        assert "not JSON" in measure.parse_output("oops", "")["error"]


class TestPeers:
    def test_free_port_can_be_bound(self) -> None:
        assert 1024 < peers.free_port() < 65536

    def test_configurations(self, tmp_path: Path) -> None:
        certificate = peers.Certificate(tmp_path / "c", tmp_path / "k")
        plain = peers.amqtt_config(1234)
        assert "bind: 127.0.0.1:1234" in plain
        assert "ssl" not in plain
        assert f"keyfile: {certificate.key}" in peers.amqtt_config(1, certificate)
        assert "listener 1234 127.0.0.1" in peers.mosquitto_config(1234)
        assert f"certfile {certificate.cert}" in peers.mosquitto_config(1, certificate)

    def test_without_mosquitto_the_status_is_2(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(peers, "find_mosquitto", lambda: None)
        monkeypatch.setattr(peers, "raise_file_limit", lambda: 10000)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        assert run.main(["--quick"]) == 2
        assert "mosquitto is not installed" in capsys.readouterr().err

    def test_unchanged_tool_is_not_built_again(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(tools, "OUTPUT", tmp_path)
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(tools.BuildError):
            tools.build("fwdfloor")
        (tmp_path / "fwdfloor").touch()
        assert tools.build("fwdfloor") == tmp_path / "fwdfloor"


class TestReport:
    def test_ratios_above_one_speak_for_us(self, rows: list[Row]) -> None:
        ours = [r for r in rows if r["label"] == "amqtt"]
        theirs = [r for r in rows if r["label"] == "mosquitto"]
        rate, cpu, *_ = report.FLOW
        assert report.median_ratio(rate, ours, theirs) == pytest.approx(2.0)
        assert report.median_ratio(cpu, ours, theirs) == pytest.approx(2.0)
        assert report.ratio(rate, 100, 200) == pytest.approx(0.5)
        assert report.ratio(cpu, 100, 200) == pytest.approx(2.0)
        assert report.ratio(cpu, 0, 200) is None

    def test_range_compares_neighbours(self) -> None:
        rate = report.FLOW[0]
        ours = [flow_row("amqtt", 0, 100, 1), flow_row("amqtt", 1, 300, 1)]
        theirs = [flow_row("mosquitto", 0, 50, 1), flow_row("mosquitto", 1, 100, 1)]
        assert report.ratio_range(rate, ours, theirs) == pytest.approx((2.0, 3.0))
        assert report.ratio_range(rate, ours[:1], theirs) is None

    def test_cells(self, rows: list[Row]) -> None:
        ours = [r for r in rows if r["label"] == "amqtt"]
        assert report.cell(report.FLOW[0], ours) == "220 (0.91-1.09)"
        assert report.cell(report.FLOW[1], ours[:1]) == "4.000"
        assert report.cell(report.PACED[2], ours) == report.MISSING
        assert report.PACED[2].value({"lat_us": {"p50": 7.5}}) == 7.5

    def test_text(self, rows: list[Row]) -> None:
        found = report.Report(rows)
        text = found.render()
        assert found.labels == ["amqtt", "mosquitto", "floor"]
        ratios = "| p1_q0 | 2.00x (2.00-2.00) | 2.00x (2.00-2.00) |"
        assert f"{ratios} - | 8.0x | yes |" in text
        assert "| runs with every message accounted for | 3 of 3 | 3 of 3 | 3 of 3 |" in text
        assert not found.failures()

    def test_aim(self, rows: list[Row]) -> None:
        text = report.Report([{**row, "aim": 3.1} for row in rows]).render()
        assert "(2.00-2.00) | 3.1x | 8.0x | yes |" in text
        of_other = report.Report([{**row, "aim": 3.1} for row in rows], base="floor").render()
        assert "3.1x" not in of_other

    def test_loss_is_a_failure(self, rows: list[Row]) -> None:
        rows.append(flow_row("amqtt", 3, 200, 4.0, ok=0, lost=7))
        found = report.Report(rows)
        assert found.failures() == ["p1_q0, amqtt, run 3: lost 7"]
        assert "3 of 4" in found.render()

    def test_the_floor_cannot_fail(self, rows: list[Row]) -> None:
        rows.append(flow_row("floor", 3, 200, 4.0, ok=0, lost=7, is_broker=False))
        assert not report.Report(rows).failures()

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, []),
            ({"ok": 0}, ["not ok"]),
            ({"ok": 0, "lost": 3, "gaps": 3}, ["lost 3", "gaps 3"]),
            ({"ok": 0, "lost": 3, "lossy": True}, []),
            ({"ok": 0, "dup": 1, "lossy": True}, ["dup 1"]),
            ({"unacked": 2}, ["unacked 2"]),
            ({"broker_alive": False}, ["the broker is gone"]),
            ({"retain_flag": 9, "delivered": 10}, ["retain flag on 9 of 10"]),
            ({"hold_s": 3, "alive_after_hold": 9, "count": 10}, ["9 of 10 connections left"]),
            ({"ok": None, "error": "setup failed"}, ["setup failed"]),
        ],
    )
    def test_problems(self, changes: Row, expected: list[str]) -> None:
        assert report.problems(flow_row("amqtt", 0, 100, 1, **changes)) == expected

    def test_remarks(self) -> None:
        busy = flow_row("amqtt", 0, 9, 1, lg_cpu_pct=99, br_cpu_pct=50, other_cpu_pct=80)
        lossy = flow_row("amqtt", 1, 9, 1, lossy=True, lost=250)
        text = report.Report([busy, lossy]).render()
        assert "the load generator was the limit in 1 of 2 runs" in text
        assert "up to 80 % of a core" in text
        assert "dropped 25.0 % of the messages" in text

    @pytest.mark.parametrize(
        ("args", "labels"),
        [
            ("connect --rate 300", "broker CPU, µs per connection"),
            ("idle --count 5", "RSS per idle connection, bytes"),
            ("retained --count 5", "delivered/s"),
            ("subs --T 9", "time to subscribe, s"),
            ("pairs --rate 10", "latency p99, µs"),
        ],
    )
    def test_metrics_follow_the_scenario(self, args: str, labels: str) -> None:
        assert labels in [m.label for m in report.metrics_for({"args": args})]


class TestRun:
    def test_defaults(self) -> None:
        args = run.parse_args([])
        assert (args.reps, args.quick, args.floor, args.tls) == (3, False, False, "no")
        assert args.brokers == ["amqtt", "mosquitto"]
        assert args.threads == [1]
        assert run.parse_args(["--threads", "1,2"]).threads == [1, 2]
        assert run.parse_args(["--quick"]).reps == 1
        assert run.parse_args(["--quick", "--reps", "4"]).reps == 4
        assert run.parse_args(["--also", "old=/usr/bin/python3"]).also == [
            ("old", "/usr/bin/python3")
        ]

    @pytest.mark.parametrize(
        "argv",
        [
            *(["--reps", "0"], ["--brokers", "x"], ["--also", "x"], ["--tls", "maybe"]),
            *(["--threads", "0"], ["--threads", "two"]),
        ],
    )
    def test_usage_errors(self, argv: list[str]) -> None:
        with pytest.raises(SystemExit) as stop:
            run.parse_args(argv)
        assert stop.value.code == 2

    def test_contestants_differ_in_threads(self, tmp_path: Path) -> None:
        args = run.parse_args(["--brokers", "amqtt", "--threads", "1,3"])
        one, three = run.choose_peers(args, None)
        assert (one.name, three.name) == ("amqtt", "threads3")
        one.command(1883, tmp_path)
        three.command(1883, tmp_path)
        assert "threads" not in (tmp_path / "amqtt.yaml").read_text()
        assert (tmp_path / "threads3.yaml").read_text().startswith("threads: 3\n")

    @pytest.mark.parametrize(("lost", "status"), [(0, 0), (1, 1)])
    def test_report_of_a_file(
        self,
        lost: int,
        status: int,
        tmp_path: Path,
        rows: list[Row],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("signal.signal", lambda *_: None)
        rows[0]["lost"] = lost
        file = tmp_path / "results.jsonl"
        file.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
        assert run.main(["--report", str(file)]) == status
        assert "### Summary" in capsys.readouterr().out

    def test_report_of_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("signal.signal", lambda *_: None)
        assert run.main(["--report", str(tmp_path / "missing")]) == 2
        (tmp_path / "empty").touch()
        assert run.main(["--report", str(tmp_path / "empty")]) == 2


class TestClients:
    def test_arguments(self) -> None:
        args = clients.parse_args(["--modes", "pub0,rtt", "--clients", "paho,amqtt", "--n", "10"])
        assert (args.modes, args.clients, args.n) == (["pub0", "rtt"], ["paho", "amqtt"], 10)
        assert clients.parse_args([]).clients == list(clients.CLIENTS)
        assert clients.parse_args([]).broker == "amqtt"

    @pytest.mark.parametrize(
        "argv",
        [["--modes", "pub9"], ["--clients", "x"], ["--n", "1"], ["--size", "8"], ["--reps", "0"]],
    )
    def test_usage_errors(self, argv: list[str]) -> None:
        with pytest.raises(SystemExit):
            clients.parse_args(argv)

    def test_turns_rotate(self) -> None:
        found = list(clients.turns(["pub0"], ["a", "b"], 2))
        assert found == [(0, "pub0", "a"), (0, "pub0", "b"), (1, "pub0", "b"), (1, "pub0", "a")]

    def test_table(self) -> None:
        rows: list[Row] = [
            {"mode": "pub0", "client": "amqtt", "per_s": 3000.0, "cpu_us": 5.0, "rss_mb": 30.0},
            {"mode": "pub0", "client": "amqtt", "per_s": 1000.0, "cpu_us": 7.0},
            {"mode": "pub0", "client": "amqtt", "per_s": 2000.0, "cpu_us": 6.0},
            {"mode": "pub0", "client": "paho", "per_s": 500.0, "cpu_us": 24.0},
            {"mode": "rtt", "client": "paho", "problem": "worker ended"},
        ]
        text = clients.render(rows, ["amqtt", "paho"])
        assert "| pub0 | amqtt | 2,000 | 0.50-1.50 | 6.00 | 30.0 |  |  |  | 3 of 3 |" in text
        assert "| pub0 | paho | 500 |  | 24.00 | - |  | 4.00x | 4.00x | 1 of 1 |" in text
        assert "| rtt | paho | - |  | - | - | - / - | - | - | 0 of 1 |" in text
        assert clients.summarize(rows, "amqtt", {"amqtt": "1"}) == {
            "broker": "amqtt",
            "versions": {"amqtt": "1"},
            "results": [
                {"mode": "pub0", "client": "amqtt", "runs": 3, "problems": 0,
                 "per_s": 2000.0, "cpu_us": 6.0, "rss_mb": 30.0},
                {"mode": "pub0", "client": "paho", "runs": 1, "problems": 0,
                 "per_s": 500.0, "cpu_us": 24.0},
                {"mode": "rtt", "client": "paho", "runs": 1, "problems": 1},
            ],
        }  # fmt: skip

    def test_environments(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        missing, made = tmp_path / "missing", tmp_path / "made"
        (made / "bin").mkdir(parents=True)
        (made / "bin" / "python").touch()
        monkeypatch.setattr(environments, "ORIGINAL", missing)
        assert environments.Client("x", None).python == sys.executable
        assert environments.Client("x", made).python == str(made / "bin" / "python")
        assert environments.Client("x", tmp_path / "other").python == sys.executable
        assert environments.Client("amqtt", missing).python is None
        assert environments.Client("x", None, uvloop=True).arguments() == ["x", "--uvloop"]

    def test_one_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        argv = ["--clients", "amqtt,paho", "--modes", "pub0,pub1w,recv1,rtt", "--n", "500"]
        assert clients.main([*argv, "--reps", "1", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["results"]
        assert len(found) == 8
        assert not [row for row in found if row["problems"]]
        assert all(row["per_s"] > 0 and row["cpu_us"] > 0 and row["rss_mb"] > 1 for row in found)

    def test_account_of_payloads(self) -> None:
        payloads = make_payloads(4, 64)
        assert {len(p) for p in payloads} == {64}
        assert HEADER.unpack_from(payloads[3]) == (MAGIC, 0, 3, 0)
        assert count_faults(payloads, 4, 64) == 0
        assert count_faults(payloads[:3], 4, 64) > 0
        assert count_faults([*payloads, payloads[0]], 4, 64) > 0
        assert count_faults([payloads[1], payloads[0], *payloads[2:]], 4, 64) > 0
        assert count_faults([*payloads[:3], b"x" * 64], 4, 64) > 0
        assert count_faults([*payloads[:3], payloads[3][:-1]], 4, 64) > 0

    def test_meter(self) -> None:
        meter = Meter(seconds=2.0, cpu=1.0, count=1000, round_trips=[0.001] * 100)
        result = meter.result()
        assert 1 < result.pop("rss_mb") < 10_000
        assert result == {
            "count": 1000, "seconds": 2.0, "per_s": 500.0, "cpu_us": 1000.0,
            "p50_us": 1000.0, "p99_us": 1000.0,
        }  # fmt: skip
        assert [Job(m, 1, 1).qos for m in ("pub1w", "recv0", "rtt")] == [1, 0, 0]


class TestChild:
    def test_lines(self) -> None:
        code = "import sys; print('{\"event\": \"ready\"}', flush=True); sys.exit('it broke')"
        with Child([sys.executable, "-c", code], 30) as child:
            child.wait_ready()
            with pytest.raises(ChildError, match="it broke"):
                child.next_line()

    def test_deadline(self) -> None:
        with (
            Child([sys.executable, "-c", "import time; time.sleep(60)"], 0.2) as child,
            pytest.raises(ChildError, match="no result"),
        ):
            child.next_line()


class TestPlugins:
    RESULTS = (
        (plugins.NOTHING, plugins.Result(100_000, 0.5, 1000, 0)),
        (plugins.COUNTING, plugins.Result(90_000, 2.0, 1000, 1000)),
        (plugins.ASKED, plugins.Result(40_000, 9.0, 1000, 2000)),
        (plugins.WAITING, plugins.Result(20_000, 9.0, 1000, 2000)),
        (plugins.REMEMBERED, plugins.Result(95_000, 0.6, 1000, 20)),
    )

    def test_aims(self) -> None:
        found = plugins.verdicts({kind: [result] for kind, result in self.RESULTS})
        assert [reached for reached, _ in found] == [True, True, False, True]
        assert "1.50 us" in found[0][1]
        assert "80,000 decisions" in found[1][1]
        assert "40,000 decisions" in found[2][1]
        assert "0.95 of" in found[3][1]

    def test_the_median_counts(self) -> None:
        results = [plugins.Result(rate, 1.0, 1, 0) for rate in (10.0, 30.0, 20.0)]
        assert plugins.median(results, "rate") == 20
        assert plugins.spread(results, "rate") == "20 (10-30)"
