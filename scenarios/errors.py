"""What a user did wrong, in one line: where, which field, which value, what is allowed."""

from __future__ import annotations


class ScenarioError(Exception):
    """Bad input. Its text is the single line a user sees; the command line exits with code 2.

    Args:
        field: dotted path of the field, e.g. ``"data.path"``, or a word for what is wrong.
        value: the offending value.
        allowed: what would have been accepted.
        source: file or option the value came from, if known.
    """

    def __init__(self, field: str, value: object, allowed: str, source: str | None = None) -> None:
        self.field, self.value, self.allowed, self.source = field, value, allowed, source
        super().__init__(field, value, allowed, source)

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source else ""
        value = " ".join(repr(self.value).split())
        if len(value) > 120:
            value = value[:117] + "..."
        return f"{where}{self.field} = {value}: allowed: {self.allowed}"
