"""Descriptors that packet classes are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from amqtt._engine.codec import PROTOCOL_5_0

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")


class PartField(Generic[_T]):
    """Read and write an attribute of a part of a packet under the same name.

    Args:
        part: `variable_header` or `payload`.

    Raises:
        ValueError: the packet has no such part.

    """

    def __init__(self, part: str) -> None:
        """Remember the part."""
        self._part = part
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name of the attribute."""
        self._name = name

    @overload
    def __get__(self, packet: None, owner: type) -> Self: ...
    @overload
    def __get__(self, packet: object, owner: type) -> _T: ...
    def __get__(self, packet: object | None, owner: type) -> Self | _T:
        """Return the attribute of the part."""
        if packet is None:
            return self
        value: _T = getattr(self._part_of(packet), self._name)
        return value

    def __set__(self, packet: object, value: _T) -> None:
        """Set the attribute of the part."""
        setattr(self._part_of(packet), self._name, value)

    def _part_of(self, packet: object) -> Any:
        part = getattr(packet, self._part)
        if part is None:
            missing = self._part.replace("_", " ")
            msg = f"{type(packet).__name__} has no {missing}, so it has no {self._name}"
            raise ValueError(msg)
        return part


class PropertiesField(PartField["dict[str, Any] | None"]):
    """Read and write the properties of MQTT 5.0 in the variable header; None in MQTT 3.

    Setting them makes the packet one of MQTT 5.0.

    Raises:
        ValueError: the packet has no variable header.

    """

    def __init__(self) -> None:
        """Delegate to the variable header."""
        super().__init__("variable_header")

    def __set__(self, packet: object, value: dict[str, Any] | None) -> None:
        """Replace the properties."""
        super().__set__(packet, value)
        if value is not None:
            packet.fixed_header.protocol_version = PROTOCOL_5_0  # type: ignore[attr-defined]


class Flag:
    """Read and write one bit of the attribute `flags`.

    Args:
        mask: the bit.

    """

    def __init__(self, mask: int) -> None:
        """Remember the bit."""
        self._mask = mask

    @overload
    def __get__(self, header: None, owner: type) -> Self: ...
    @overload
    def __get__(self, header: object, owner: type) -> bool: ...
    def __get__(self, header: Any, owner: type) -> Self | bool:
        """Tell whether the bit is set."""
        if header is None:
            return self
        return bool(header.flags & self._mask)

    def __set__(self, header: Any, value: bool) -> None:
        """Set or clear the bit."""
        header.flags = header.flags | self._mask if value else header.flags & ~self._mask
