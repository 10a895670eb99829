"""Texts of values that are one leaf: numbers, text, dates and other small things of the stdlib.

Must not know walks, containers or third-party packages.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import hashlib
import ipaddress
import re
import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_mitosis.identity.walk import Text

TEXT_LIMIT: Final = 2_000
_HUGE: Final = 1 << 4_000  # int -> str conversion is limited to 4300 digits


def sha256(data: bytes) -> str:
    """Return the short-named hexadecimal digest that texts carry."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def int_text(value: int) -> str:
    """Return decimal digits, or hexadecimal ones where Python refuses decimal ones."""
    if -_HUGE < value < _HUGE:
        return int.__repr__(value)
    return bounded(int.__format__(value, "x"), "hex")


def float_text(value: float) -> str:
    """Return the shortest digits that read back; every NaN is ``nan``."""
    return float.__repr__(value) if value == value else "nan"


def complex_text(value: complex) -> str:
    """Return both parts; ``complex.__repr__`` loses the sign of a zero."""
    return f"({float_text(value.real)}, {float_text(value.imag)})"


def bounded(text: str, what: str) -> str:
    """Return the text, or beyond a few lines its length and digest."""
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{what} of {len(text)} {sha256(text.encode())} {text[:40]}..."


def str_text(value: str) -> str:
    """Return the ASCII literal of a text, whatever the terminal can show."""
    if len(value) <= TEXT_LIMIT:
        return ascii(str.__str__(value))
    raw = value.encode("utf-8", "surrogatepass")
    return f"of {len(value)} characters {sha256(raw)} {value[:40]!a}..."


def bytes_text(value: bytes | bytearray) -> str:
    """Return the literal of some bytes, or length and digest of many."""
    if len(value) <= TEXT_LIMIT:
        return bytes.__repr__(bytes(value))
    return f"of {len(value)} bytes {sha256(bytes(value))}"


def decimal_text(value: decimal.Decimal) -> str:
    """Return digits and exponent: ``1.0`` and ``1.00`` have another number of digits."""
    return "nan" if value.is_nan() else decimal.Decimal.__str__(value)


def delta_text(value: dt.timedelta) -> str:
    """Return the three parts a timedelta has."""
    return f"{value.days}d {value.seconds}s {value.microseconds}us"


def pattern_text(value: re.Pattern[str] | re.Pattern[bytes]) -> str:
    """Return pattern and flags by name; the repr of a pattern is cut at 200 characters."""
    flags = "|".join(sorted(str(flag.name) for flag in re.RegexFlag(value.flags)))
    body = value.pattern
    text = str_text(body) if isinstance(body, str) else bytes_text(body)
    return f"{text} flags {flags or 'none'}"


SCALARS: Final[dict[type, Text]] = {
    type(None): lambda value: "None",
    type(...): lambda value: "Ellipsis",
    type(NotImplemented): lambda value: "NotImplemented",
    bool: lambda value: "bool True" if value else "bool False",
    int: lambda value: f"int {int_text(value)}",
    float: lambda value: f"float {float_text(value)}",
    str: lambda value: f"str {str_text(value)}",
    bytes: lambda value: f"bytes {bytes_text(value)}",
    bytearray: lambda value: f"bytearray {bytes_text(value)}",
    complex: lambda value: f"complex {complex_text(value)}",
    decimal.Decimal: lambda value: f"Decimal {decimal_text(value)}",
    fractions.Fraction: lambda value: f"Fraction {value.numerator}/{value.denominator}",
    range: lambda value: f"range({value.start}, {value.stop}, {value.step})",
    dt.date: lambda value: f"date {value.isoformat()}",
    dt.timedelta: lambda value: f"timedelta {delta_text(value)}",
    re.Pattern: lambda value: f"regex {pattern_text(value)}",
    uuid.UUID: lambda value: f"UUID {value}",
    ipaddress.IPv4Address: lambda value: f"IPv4Address {value}",
    ipaddress.IPv6Address: lambda value: f"IPv6Address {value}",
    ipaddress.IPv4Network: lambda value: f"IPv4Network {value}",
    ipaddress.IPv6Network: lambda value: f"IPv6Network {value}",
    ipaddress.IPv4Interface: lambda value: f"IPv4Interface {value}",
    ipaddress.IPv6Interface: lambda value: f"IPv6Interface {value}",
}
