"""How numbers are written on pages: the same everywhere, with a real minus sign."""

from __future__ import annotations

from typing import Any

SCORE_DECIMALS = 3
"""Decimals of every score, difference and interval."""


_DIGITS = 10


def significant(value: float) -> float:
    """Return a number with ten significant digits: the last ones of what is computed differ between machines."""
    return float(f"{value:.{_DIGITS}g}")


def same_anywhere(part: Any) -> Any:
    """Return a value, or what holds values, with ten significant digits of each number that is not whole."""
    if isinstance(part, float):
        return significant(part)
    if isinstance(part, dict):
        return {key: same_anywhere(value) for key, value in part.items()}
    return [same_anywhere(one) for one in part] if isinstance(part, list | tuple) else part


def number(value: float, decimals: int = SCORE_DECIMALS, *, signed: bool = False) -> str:
    """Return a number with a fixed number of decimals; ``signed`` writes the plus, too."""
    text = format(abs(value), f",.{decimals}f")
    if -1 < value < 1 and not text.strip("0."):  # zero, as it is written
        return text
    return ("−" if value < 0 else "+" if signed else "") + text


def interval(low: float, high: float, decimals: int = SCORE_DECIMALS, *, signed: bool = False) -> str:
    """Return ``[low, high]``."""
    return f"[{number(low, decimals, signed=signed)}, {number(high, decimals, signed=signed)}]"


def percent(share: float) -> str:
    """Return a share as a percentage, with a decimal only where it needs one: ``95 %``, ``99.5 %``."""
    return f"{100 * share:.4g} %"


def plural(count: int, word: str, many: str | None = None) -> str:
    """Return ``1 dataset`` or ``2 datasets``."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"


def listing(words: list[str], joint: str = "and") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``; ``joint`` may be "or".

    Three or more of which some have a comma are divided by semicolons: ``a, x; b; and c``.
    """
    if len(words) < 2:
        return "".join(words)
    if len(words) > 2 and any("," in word for word in words):
        return f"{'; '.join(words[:-1])}; {joint} {words[-1]}"
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


def size_in_words(n_bytes: int) -> str:
    """Return a number of bytes: ``512 B``, ``2.1 MB``."""
    value, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def short_digest(digest: str) -> str:
    """Return the first twelve hexadecimal digits of a digest."""
    return digest.rpartition(":")[2][:12]
