"""What stands in for a value that is not rebuilt: it can be looked at, and does nothing.

All three compare by identity, so that two of them in one set or as keys stay two. Knows nothing
about files or how a value is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from pytest_mitosis.model import ResultError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, eq=False, repr=False)
class Opaque:
    """An object of a class that is not at hand: its type's name and its fields.

    Fields are attributes too (``value.coef``); ``fields`` has them all, in order.
    """

    type_name: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    def __getattr__(self, name: str) -> object:
        # Reached only for names that are not attributes already; `fields` itself may be missing
        # while a copy is being made.
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        known = ", ".join(fields) or "none"
        raise AttributeError(f"{self.type_name} was recorded without {name!r}; its fields: {known}")

    def __reduce__(self) -> tuple[type[Opaque], tuple[str, dict[str, object]]]:
        return Opaque, (self.type_name, dict(self.fields))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"Opaque({self.type_name}: {inside})"


class AbsentError(ResultError, AttributeError):
    """A part that is not here was used; to ``hasattr`` it is a missing attribute."""


class _Absent:
    """Any use other than looking says what to do."""

    def _refuse(self) -> NoReturn:
        raise AbsentError(str(self))

    def __call__(self, *_: object, **__: object) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> object:
        # Protocol probes by copy, pickle, numpy and notebooks must see a plain missing attribute.
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def __getitem__(self, _: object) -> NoReturn:
        self._refuse()

    def __iter__(self) -> NoReturn:
        self._refuse()

    def __len__(self) -> NoReturn:
        self._refuse()

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Pickled(_Absent):
    """A part that exists only as a pickle, which was not opened because it could run code.

    ``problem`` says why it did not load although it was opened with trust.
    """

    path: str
    type_name: str
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return (
                f"{self.path} ({self.type_name}) was saved as a pickle that does not load here, "
                f"{self.problem}: use the trial's environment"
            )
        return (
            f"{self.path} ({self.type_name}) was saved as a pickle, which can run code: "
            "load with trust=True if you trust who wrote it"
        )


@dataclass(frozen=True, eq=False)
class Unsaved(_Absent):
    """A part that could not be saved when the result was written."""

    type_name: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.text} ({self.type_name}) could not be saved: {self.reason}"
