"""Which callers a route lets in. Each route carries exactly one rule; a test looks for it."""

from typing import Literal, TypeAlias

from fastapi import Request

from heimnetz_common.errors import Forbidden, Unauthenticated
from heimnetz_common.tokens import Keys, Principal

Role: TypeAlias = Literal["owner", "operator", "publisher", "auditor", "viewer"]
ROLES: tuple[Role, ...] = ("owner", "operator", "publisher", "auditor", "viewer")
ANONYMOUS = Principal(subject="anonymous", name="")


class Rule:
    """A FastAPI dependency that answers the principal, or refuses.

    The owner may do what any role may. Services are let in by name only.
    """

    def __init__(
        self,
        roles: frozenset[str] = frozenset(),
        services: frozenset[str] = frozenset(),
        *,
        is_public: bool = False,
    ) -> None:
        self.roles = roles | {"owner"} if roles else roles
        self.services = services
        self.is_public = is_public

    async def __call__(self, request: Request) -> Principal:
        """Raises: Unauthenticated, Forbidden."""
        if self.is_public:
            return ANONYMOUS
        principal = authenticate(request)
        if principal.service is not None:
            if principal.service in self.services:
                return principal
            raise Forbidden(f"the service {principal.service} may not do this")
        if principal.role in self.roles:
            return principal
        needed = ", ".join(sorted(self.roles)) or "none: this is between services"
        raise Forbidden(f"the role {principal.role} may not do this; roles that may: {needed}")


def require(*roles: Role, services: tuple[str, ...] = ()) -> Rule:
    """Let in these roles, the owner, and the named services."""
    return Rule(frozenset(roles or ("owner",)), frozenset(services))


def require_service(*names: str) -> Rule:
    return Rule(services=frozenset(names))


EVERYONE = require("operator", "publisher", "auditor", "viewer")
PUBLIC = Rule(is_public=True)


def authenticate(request: Request) -> Principal:
    """Raises: Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send a token: Authorization: Bearer …")
    keys: Keys = request.app.state.keys
    return keys.verify(token.strip())
