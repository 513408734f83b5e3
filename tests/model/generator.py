"""Scripts at random. The same seed gives the same script."""

import random

from model import actions as do
from model.packets import PUBACK, PUBCOMP, PUBREC

LENGTH = 80  # actions that a script has, usually
CLIENTS = ("A", "B", "C", "D", "E")
# The last two are long enough for the broker to give them a Topic Alias.
TOPICS = ("a", "a/b", "b", "/", "$x/y", "a/long", "b/c/d")
FILTERS = (
    "a", "a/b", "a/+", "a/#", "+", "+/b", "#", "b/#", "b", "b/+/d", "/+", "$x/#",
)  # fmt: skip
# Filters of one script do not overlap: two copies of a message that a client got by two groups
# look the same, so that the model could not tell which of the groups has had its copy.
SHARED = (
    ("$share/g/#",),
    ("$share/g/a/#", "$share/g/b/#"),
    ("$share/g/+", "$share/h/a/b", "$share/g/b/+/d"),
    ("$share/g/$x/y", "$share/h/+/b"),
)
BAD_FILTERS = ("a#", "a/#/b", "+a", "$share/g", "$share//a", "$share/+/a")
EXPIRIES = (0, 1, 3, 10, 60, do.FOREVER)
RULES = ("connect", "type", "qos", "alias", "unknown alias", "subscription id", "no local share")


class Generator:
    """Makes one script."""

    def __init__(self, seed: int, *, durable: bool = False) -> None:
        """Prepare the script of a seed; of a durable broker, which is restarted now and then."""
        self._random = random.Random(seed)
        self._durable = durable
        # What tells whether an action is likely to make sense.
        self._online: dict[str, int] = {}
        self._stalled: set[str] = set()
        # Few clients and topics meet more often.
        self._clients = self._some(CLIENTS, 2)
        self._topics = self._some(TOPICS, 1)
        self._filters = self._some(FILTERS, 2)
        self._filters += self._random.choice(SHARED) * self._random.choice((0, 1, 4))

    def _some(self, all_of_them: tuple[str, ...], least: int) -> list[str]:
        count = self._random.randint(least, len(all_of_them))
        return self._random.sample(all_of_them, count)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def script(self, length: int) -> do.Script:
        """Return a script of that many actions."""
        settings = self._settings()
        if self._durable:
            settings["durable"] = 1
        return do.Script(settings, tuple(self._action() for _ in range(length)))

    def _settings(self) -> dict[str, int]:
        choices: dict[str, tuple[int, ...]] = {
            "max_inflight_messages": (1, 2, 5),
            "session_expiry": (2, 20),
            "max_qos": (0, 1),  # that is granted
            "max_published_qos": (0, 1),
            "retain_available": (0,),
            "receive_maximum": (1, 3),
            "topic_alias_maximum": (0, 2),
            "sent_topic_alias_maximum": (0, 1, 3),
            "max_keep_alive": (4, 20),
            "shared": (0, 1, 2, 3),
            "output_high_water": (1, 50, 200),
        }
        pick = self._random.choice
        rare = ("max_published_qos", "retain_available")  # because clients do not keep to them
        return {
            key: pick(values)
            for key, values in choices.items()
            if self._chance(0.03 if key in rare else 0.25)
        }

    def _action(self) -> do.Action:
        if self._durable and self._chance(0.04):
            self._online.clear()
            self._stalled.clear()
            return do.Restart()
        if self._chance(0.06):
            return do.Wait(self._random.choice((1, 2, 4, 11, 70)))
        client = self._random.choice(self._clients)
        if client not in self._online and self._chance(0.9):
            return self._connect(client)
        if client in self._stalled and self._chance(0.3):
            self._stalled.discard(client)
            return do.Read(client)
        kinds = {
            self._connect: 4, self._subscribe: 10, self._unsubscribe: 2, self._publish: 30,
            self._acknowledge: 10, self._release: 5, self._stray: 1, self._leave: 5,
            self._rest: 1, self._stall: 2,
        }  # fmt: skip
        make = self._random.choices(list(kinds), list(kinds.values()))[0]
        return make(client)

    def _connect(self, client: str) -> do.Action:
        pick = self._random.choice
        self._stalled.discard(client)
        version = self._online[client] = pick((3, 4, 4, 5, 5, 5, 5))
        will = None
        if self._chance(0.4):
            will = (
                pick(self._topics), pick((0, 1, 2)), self._chance(0.4),
                pick(EXPIRIES[:5]) if version == 5 else 0,
                pick((1, 5, 30)) if version == 5 and self._chance(0.3) else None,
            )  # fmt: skip
        clean = self._chance(0.35)
        keep_alive = pick((2, 10, 40)) if self._chance(0.2) else 0
        if version != 5:
            return do.Connect(client, version, clean, keep_alive, will=will)
        return do.Connect(
            client, version, clean, keep_alive, pick(EXPIRIES),
            pick((1, 2, 4)) if self._chance(0.4) else 65535,
            pick((30, 40, 60)) if self._chance(0.15) else do.FOREVER,
            pick((1, 2, 10)) if self._chance(0.3) else 0, will,
        )  # fmt: skip

    def _subscribe(self, client: str) -> do.Action:
        filters: list[tuple[str, int]] = []
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            name = self._random.choice(BAD_FILTERS if self._chance(0.03) else self._filters)
            options = self._random.choice((0, 1, 1, 2, 2))
            if self._online.get(client) == 5:
                options |= 4 if self._chance(0.2) and not name.startswith("$share") else 0
                options |= 8 if self._chance(0.4) else 0
                options |= self._random.choice((0, 0, 0x10, 0x20))
            filters.append((name, options))
        ident = self._random.choice((0, 0, 1, 2, 200))
        return do.Subscribe(client, tuple(filters), ident)

    def _unsubscribe(self, client: str) -> do.Action:
        names = self._random.choices(self._filters, k=self._random.choice((1, 1, 2)))
        if self._chance(0.03):
            names.append(self._random.choice(BAD_FILTERS))
        return do.Unsubscribe(client, tuple(names))

    def _publish(self, client: str) -> do.Action:
        pick = self._random.choice
        v5 = self._online.get(client) == 5
        qos = pick((0, 1, 1, 2))
        return do.Publish(
            client, pick(self._topics), qos, self._random.randint(1, 5), self._chance(0.35),
            qos > 0 and self._chance(0.1), self._chance(0.06), pick((0, 0, 0, 20, 50)),
            pick((1, 3, 20, 100)) if v5 and self._chance(0.3) else None,
            pick((0, 0, 1, 2, 4)) if v5 else 0,
            pick((1, 2, 3)) if v5 and self._chance(0.3) else 0,
        )  # fmt: skip

    def _acknowledge(self, client: str) -> do.Action:
        if self._chance(0.4):
            return do.AcknowledgeAll(client)
        number = self._random.choice((0, 0, 0, 0, 1, 2, 5))
        refused = self._online.get(client) == 5 and self._chance(0.1)
        return do.Acknowledge(client, number, 0x83 if refused else 0)

    def _release(self, client: str) -> do.Action:
        return do.Release(client, self._random.randint(1, 5))

    def _stray(self, client: str) -> do.Action:
        kind = self._random.choice((PUBACK, PUBREC, PUBCOMP))
        code = self._random.choice((0, 0x80)) if kind != PUBCOMP else 0
        return do.Stray(client, kind, self._random.choice((1, 2, 3, 9)), code)

    def _leave(self, client: str) -> do.Action:
        version = self._online.pop(client, 4)
        if client in self._stalled or self._chance(0.5):
            self._stalled.discard(client)
            return do.Drop(client)
        if self._chance(0.1):
            return do.Violate(client, self._random.choice(RULES))
        if version != 5:
            return do.Disconnect(client)
        expiry = self._random.choice(EXPIRIES) if self._chance(0.3) else None
        return do.Disconnect(client, self._random.choice((0, 0, 4, 0x83)), expiry)

    def _stall(self, client: str) -> do.Action:
        self._stalled.add(client)
        return do.Stall(client)

    def _rest(self, client: str) -> do.Action:
        return do.Ping(client)
