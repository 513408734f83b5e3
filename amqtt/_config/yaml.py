"""Read YAML files in which no key is given twice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from typing import TextIO

# `<<`, which takes over the keys of another mapping: a key of its own comes before those.
_MERGE = "tag:yaml.org,2002:merge"


class DuplicateKeyError(yaml.constructor.ConstructorError):
    """Report a key that a mapping has twice; YAML forbids it, and one of the values would be lost.

    Args:
        key: the key, as it is spelt.
        first: where it is given first.
        again: where it is given again.

    """

    def __init__(self, key: str, first: Any, again: Any) -> None:
        """Remember the key and the places."""
        problem = f"the key '{key}' is given twice, the first time in line {first.line + 1}"
        super().__init__(None, None, problem, again)


class _Loader(yaml.SafeLoader):
    """Make plain values only: YAML's tags for objects of Python are errors."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Read a mapping and compare its keys.

        Here rather than where values are made, since there keys that are merged in are among them.
        """
        node = super().compose_mapping_node(anchor)
        marks: dict[Hashable, Any] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node)
            if key in marks:
                raise DuplicateKeyError(key_node.value, marks[key], key_node.start_mark)
            marks[key] = key_node.start_mark
        return node


def load_yaml(stream: TextIO | str) -> Any:
    """Read a YAML document.

    Args:
        stream: the text, or a file of text.

    Returns:
        Its content; None when it is empty.

    Raises:
        yaml.YAMLError: it is not YAML, a mapping has a key twice, or a tag stands for anything
            else than plain values.

    """
    return yaml.load(stream, Loader=_Loader)  # a SafeLoader
