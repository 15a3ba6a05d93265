"""Declaration of errors: the root of the tree, and the error of a value, which has no place."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import Parameter, Signature
from reprlib import Repr
from typing import Any, ClassVar, Final, dataclass_transform

from streamhub_orm.errors.visible import visible

_TEXTS: Final = ("subject", "found", "expected", "todo", "public_message")
_MOST_LISTED: Final = 12
_SHORT: Final = Repr()
_SHORT.maxstring = _SHORT.maxother = 200
"""Shows a value however long or deep it is."""


class _Template:
    """Descriptor of a text that is filled in with the error's attributes when it is read."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __get__(self, error: Exception | None, _: type[Exception]) -> str:
        return self._text if error is None else self._text.format_map(_Attributes(error))


class _Attributes:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getitem__(self, name: str) -> object:
        value = getattr(self._error, name)
        return _Listed(value) if isinstance(value, tuple) else value


class _Listed(tuple[object, ...]):
    """Items as a template shows them: joined by its format, and only the first few."""

    __slots__ = ()

    def __format__(self, separator: str) -> str:
        more = [f"and {len(self) - _MOST_LISTED} more"] if len(self) > _MOST_LISTED else []
        return (separator or ", ").join([*map(str, self[:_MOST_LISTED]), *more]) or "none"


def _fixed(value: object, kind: str) -> object:
    if isinstance(value, Iterable) and kind.startswith(("Sequence[", "Collection[")):
        return tuple(value if kind.startswith("Sequence") else sorted(value))
    return value


@dataclass_transform(eq_default=False)
class StreamHubError(Exception):
    """Base of all errors of this package.

    A subclass declares itself and needs no constructor. Its annotations, but for `ClassVar`, are
    its fields: attributes that the constructor takes in this order, or by name. Its texts are
    templates, filled in when they are read: `subject` names the file or thing, `found`, `expected`
    and `todo` tell an operator or developer what is wrong and what to do. `str()` puts them
    together. A text that only the raiser knows is a field.

    `public_message` is for the clients of a web service: it holds no path, no name of a tenant, app
    or user, and no value that was refused. `exit_code` is the exit status of a command that the
    error stops as a whole; 3 means that nothing was touched. `may_be_repeated` is True where
    nothing was done and the same work may well succeed a moment later; `streamhub_orm.retrying`
    goes by it. Errors can be pickled and copied.
    """

    exit_code: ClassVar[int] = 3
    may_be_repeated: ClassVar[bool] = False
    __signature__: ClassVar[Signature] = Signature()

    subject: str = ""
    found: str
    expected: str
    todo: str
    public_message: str = "The request could not be carried out; its operator can see the reason."

    def __init_subclass__(cls) -> None:
        """Make the signature of the fields, and templates of the texts."""
        super().__init_subclass__()
        parameters = dict(cls.__signature__.parameters)
        own = {name: str(kind) for name, kind in cls.__annotations__.items()}
        for name, kind in own.items():
            if not kind.startswith("ClassVar"):
                default = vars(cls).get(name, Parameter.empty)
                parameters[name] = Parameter(
                    name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind
                )
        cls.__signature__ = Signature(list(parameters.values()))
        for name in _TEXTS:
            text = vars(cls).get(name)
            if isinstance(text, str) and name not in own:
                setattr(cls, name, _Template(text))

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Keep the fields as attributes: a Sequence as a tuple, a Collection as a sorted one."""
        given = self.__signature__.bind(*args, **kwargs)
        given.apply_defaults()
        for name, value in given.arguments.items():
            setattr(self, name, _fixed(value, self.__signature__.parameters[name].annotation))
        # By these the error is made again when it is unpickled or copied.
        self.args = tuple(getattr(self, name) for name in given.arguments)

    @property
    def details(self) -> dict[str, Any]:
        """What the JSON document of a command that it stops says besides the message."""
        return {}

    def __str__(self) -> str:
        """Name the subject, what was found, what was expected and what to do.

        On one line, whatever names are in it: it goes to terminals and logs.
        """
        subject = f"{self.subject}: " if self.subject else ""
        return visible(f"{subject}found {self.found}; expected {self.expected}. {self.todo}")

    def __repr__(self) -> str:
        """Show no more than `str()` does."""
        return f"{type(self).__name__}({str(self)!r})"


class StoredValueError(StreamHubError, ValueError):
    """Raised when a stored or bound value does not have the form that its column holds."""

    kind: str
    value: object
    found = "{shown}"
    expected = "{kind}"
    todo = "Give a value of this form, or correct the stored one."
    public_message = "A value does not have the expected form: {kind}."

    @property
    def shown(self) -> str:
        """The value as the message shows it: in short."""
        try:
            return _SHORT.repr(self.value)
        except ValueError:  # a number of too many digits
            return f"a value of type {type(self.value).__name__}"

    def __str__(self) -> str:
        """Tell first what a column holds, then the value."""
        return visible(f"expected {self.expected}, found {self.found}")


class HiddenValueError(StoredValueError):
    """Raised for a value that may be a secret, or that nothing can show: `value` describes it."""

    found = "{value}"
