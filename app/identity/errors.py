"""What can go wrong with access, beyond the general problems."""

from collections.abc import Sequence

from app.core.errors import Conflict, Forbidden, Problem, TooManyRequests, Unauthenticated


class BadCredentials(Unauthenticated):
    type = "bad-credentials"
    title = "Username or password is wrong"


class InvalidToken(Unauthenticated):
    type = "invalid-token"
    title = "The token is not valid, has expired or was revoked; log in again"


class RefreshTokenReused(Unauthenticated):
    """A rotated token came back: somebody holds a copy, so the session ends for everybody."""

    type = "refresh-token-reused"
    title = "This refresh token was used before; its session is revoked, log in again"
    keeps_changes = True


class TooManyLogins(TooManyRequests):
    type = "too-many-logins"
    title = "Too many attempts to log in; wait before the next"


class Escalation(Forbidden):
    type = "escalation"
    title = "Nobody can give or change rights beyond their own"

    @classmethod
    def by(cls, permissions: Sequence[str]) -> "Problem":
        """The refusal, naming the permissions that the actor does not hold that far."""
        return cls("Your own rights do not cover: " + ", ".join(permissions[:20]))


class LastAdministrator(Conflict):
    type = "last-administrator"
    title = "This is the last active administrator; make another one first"


class UsernameTaken(Conflict):
    type = "username-taken"
    title = "There is a user of this name; choose another username"


class RoleKeyTaken(Conflict):
    type = "role-key-taken"
    title = "There is a role of this key; choose another key"


class RoleInUse(Conflict):
    type = "role-in-use"
    title = "Users hold this role; take it from them first"


class PresetRole(Conflict):
    type = "preset-role"
    title = "A preset role stays: it can be edited but not deleted, and `admin` keeps every permission"


class UnitInUse(Conflict):
    type = "unit-in-use"
    title = "The unit has units, users, customers or API keys; move them first"


class UnitNameTaken(Conflict):
    type = "unit-name-taken"
    title = "The parent has a unit of this name; choose another name"


class MembershipOverlaps(Conflict):
    type = "membership-overlaps"
    title = "The user is in this unit on some of these days already; change that membership's last day"


class DelegationOverlaps(Conflict):
    type = "delegation-overlaps"
    title = "This user stands in on some of these days already; end that delegation first"


class NotDelegated(Forbidden):
    type = "not-delegated"
    title = "Today you do not stand in for the user named in X-On-Behalf-Of"


class NoSession(Conflict):
    type = "no-session"
    title = "An API key has no session and no password; revoke the key instead"
