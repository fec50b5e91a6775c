"""Whom the tests know: users, their traces, and what they show at the door. Prints it as JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import django


def main() -> None:
    from django.contrib.auth.models import Permission, User
    from django.utils import timezone
    from guardian.shortcuts import assign_perm
    from rest_framework.authtoken.models import Token
    from rest_framework_simplejwt.tokens import AccessToken

    from tests.access.handshakes import log_in
    from trace_streaming.models import Trace

    def person(name: str, **options: Any) -> User:
        return User.objects.create_user(name, password="pass", **options)

    def trace(trace_id: str, owner: User) -> Trace:
        now = timezone.now()
        return Trace.objects.create(trace_id=trace_id, owner=owner, started_at=now, last_event_at=now)

    def token(user: User, seconds: float) -> str:
        access = AccessToken.for_user(user)
        access.set_exp(lifetime=timedelta(seconds=seconds))
        return str(access)

    view_trace = Permission.objects.get(codename="view_trace")
    ada, eve, ops, viewer = (
        person(name, is_staff=name in ("ops", "viewer")) for name in ("ada", "eve", "ops", "viewer")
    )
    viewer.user_permissions.add(view_trace)
    guest = person("guest")
    assign_perm("view_trace", guest, trace("secret", ada))
    trace("eves", eve)
    people: dict[str, Any] = {
        **{user.username: {"session": log_in(user)} for user in (ada, eve, ops, viewer, guest)},
        "ada's token": Token.objects.create(user=ada).key,
        "ada's JWT": token(ada, 300),
        "eve's JWT": token(eve, 300),
        "ada's expired JWT": token(ada, -1),
    }
    for name in ("logout", "password", "deactivation", "ownership", "permission", "object", "token", "expiry"):
        user = person(name)
        his = trace(name, ada if name in ("permission", "object") else user)
        if name == "permission":
            user.user_permissions.add(view_trace)
        if name == "object":
            assign_perm("view_trace", user, his)
        people[name] = {"session": log_in(user), "token": Token.objects.create(user=user).key, "JWT": token(user, 300)}
    print(json.dumps(people))  # noqa: T201


if __name__ == "__main__":
    django.setup()
    main()
