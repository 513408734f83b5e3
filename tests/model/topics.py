"""How Topic Filters match, said as simply as section 4.7 says it."""


def levels_match(levels: list[str], names: list[str]) -> bool:
    """Tell whether the levels of a filter match those of a topic."""
    if not levels or levels == ["#"]:
        return bool(levels) or not names
    if not names:
        return False
    return levels[0] in ("+", names[0]) and levels_match(levels[1:], names[1:])


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a valid filter, without a share name, matches a topic."""
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    return levels_match(topic_filter.split("/"), topic.split("/"))


def is_filter(text: str) -> bool:
    """Tell whether wildcards stand alone in their level, and ``#`` in the last one."""
    levels = text.split("/")
    alone = all(level in ("+", "#") or not set("+#") & set(level) for level in levels)
    return bool(text) and alone and "#" not in levels[:-1]


def split_share(name: str) -> tuple[str | None, str] | None:
    """Return share name, if there is one, and filter; None for what is no valid filter."""
    share, text = None, name
    if name.startswith("$share/"):
        parts = name.split("/", 2)
        if len(parts) < 3 or not parts[1] or set("+#") & set(parts[1]):
            return None
        _, share, text = parts
    return (share, text) if is_filter(text) else None
