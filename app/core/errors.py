"""What can go wrong, each with its status and a stable type; the message says what to do."""

from collections.abc import Sequence
from typing import ClassVar


class FieldError:
    """One field that is wrong: a JSON pointer into the request and what to do about it."""

    __slots__ = ("message", "pointer")

    def __init__(self, pointer: str, message: str) -> None:
        self.pointer = pointer
        self.message = message

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "message": self.message}


class ReactionFailed(Exception):
    """What joins the transaction could not be done: the request is carried out again, and this is left for later."""


class Problem(Exception):
    """An answer other than success, as RFC 9457 says it.

    `keeps_changes` marks the few refusals whose transaction must commit all the same, such as
    the revocation that follows the reuse of a refresh token.
    """

    status: ClassVar[int] = 400
    type: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request cannot be carried out"
    keeps_changes: ClassVar[bool] = False

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}

    @classmethod
    def at(cls, pointer: str, message: str) -> "Problem":
        """The problem with one field."""
        return cls(message, errors=[FieldError(pointer, message)])


class Invalid(Problem):
    status = 422
    type = "invalid"
    title = "The request is not valid"


class NotFound(Problem):
    status = 404
    type = "not-found"
    title = "There is no such thing, or it is not yours to see"


class Conflict(Problem):
    status = 409
    type = "conflict"
    title = "The request conflicts with what is there"


class Unauthenticated(Problem):
    status = 401
    type = "unauthenticated"
    title = "Log in first"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    status = 403
    type = "forbidden"
    title = "Your role does not allow this"


class PreconditionFailed(Problem):
    status = 412
    type = "stale"
    title = "The resource has changed since you read it"


class TooLarge(Problem):
    status = 413
    type = "too-large"
    title = "The request is larger than allowed"


class TooManyRequests(Problem):
    status = 429
    type = "too-many-requests"
    title = "Too many requests"

    def __init__(self, detail: str | None = None, *, retry_after: int = 60) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(Problem):
    status = 503
    type = "unavailable"
    title = "The service is busy or its database is away"

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
