"""The errors of values that do not have the shape they should: each names the field and what is wrong, never the value.

Decoders of foreign bytes raise only these, so that a caller can tell bad input from a fault of ours with one `except`.
"""

from __future__ import annotations

from typing import ClassVar

from .errors import FieldViolation, InvalidArgument


class MalformedValue(InvalidArgument):
    """A value has the wrong form; the base of everything that a decoder raises.

    The facts hold `field` and `problem`, the class's own word for what is wrong.

    Attributes:
        field: The path of the value, such as `cipher.nnc`.
    """

    problem: ClassVar[str] = "MALFORMED"

    def __init__(self, field: str, description: str, *, official_code: str | None = None) -> None:
        super().__init__(
            f"{field}: {description}",
            official_code=official_code,
            facts={"field": field, "problem": self.problem},
            violations=(FieldViolation(field, description),),
        )
        self.field = field

    def __reduce__(self) -> tuple[type[MalformedValue], tuple[str, str]]:
        return type(self), (self.field, self.violations[0].description)


class MissingValue(MalformedValue):
    """A member that is required is not there."""

    problem = "MISSING"


class WrongType(MalformedValue):
    """A value is of another type than its field: text for a number, an array for an object."""

    problem = "WRONG_TYPE"


class WrongLength(MalformedValue):
    """A value is shorter or longer than its field allows."""

    problem = "WRONG_LENGTH"


class TooLarge(MalformedValue):
    """An input is over the size that this decoder takes; nothing of it was decoded."""

    problem = "TOO_LARGE"


class WrongAlphabet(MalformedValue):
    """An encoded text holds a character that its encoding does not have."""

    problem = "WRONG_ALPHABET"


class WrongPadding(MalformedValue):
    """A base64 text has padding where there must be none, lacks it, or has a length that no bytes encode to."""

    problem = "WRONG_PADDING"


class TrailingBits(MalformedValue):
    """The unused last bits of a base64 text are not zero, so that it is a second form of the same bytes."""

    problem = "TRAILING_BITS"


class MalformedText(MalformedValue):
    """Bytes are not UTF-8, or a text holds what UTF-8 cannot carry."""

    problem = "MALFORMED_TEXT"


class MalformedJson(MalformedValue):
    """A text is not JSON."""

    problem = "MALFORMED_JSON"


class NestedTooDeep(MalformedValue):
    """JSON arrays and objects are nested deeper than this project follows."""

    problem = "NESTED_TOO_DEEP"


class NumberOutOfRange(MalformedValue):
    """A number is outside of what its field, or a JSON number, can hold."""

    problem = "NUMBER_OUT_OF_RANGE"


class UnknownAlgorithm(MalformedValue):
    """An algorithm number names nothing that this network uses."""

    problem = "UNKNOWN_ALGORITHM"


class WrongForm(MalformedValue):
    """A text is not built as its kind is: separators, parts or patterns do not fit."""

    problem = "WRONG_FORM"


class WrongPrefix(MalformedValue):
    """An id belongs to another kind of thing."""

    problem = "WRONG_PREFIX"


class ChecksumMismatch(MalformedValue):
    """A checksum does not belong to the value it comes with."""

    problem = "CHECKSUM_MISMATCH"


class Mismatch(MalformedValue):
    """A well-formed value is not the expected one, such as an address of another host or key."""

    problem = "MISMATCH"
