"""Who is calling: scripts by key, people by password, both by session token, and scripts on behalf of people."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callsheet.sandbox.paths import name_of, named
from callsheet.sandbox.refusal import not_authenticated
from callsheet.sandbox.store import Entity, Store
from callsheet.sandbox.values import Link


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does what is done. ``logs``: whether events are made of it. ``sudo``: the script behind a person's name."""

    link: Link
    name: str
    session_uuid: str | None = None
    logs: bool = True
    sudo: dict[str, Any] | None = None
    script: str | None = None
    """The script's name, also behind sudo; None for a person who came by password or session."""


def actor(store: Store, params: Any) -> Actor:
    """The caller that the first parameter of a request names; Refusal 102 for one who is not let in."""
    if not isinstance(params, Mapping):
        raise not_authenticated("Missing or invalid authentication arguments")
    entity = _caller(store, params)
    script = entity.values["firstname"] if entity.type == "ApiUser" else None
    logs = entity.values.get("generate_event_log_entries", True) is not False
    sudo = None
    if login := params.get("sudo_as_login"):
        sudo = named(store, entity.link)
        entity = person(store, str(login))
    return Actor(entity.link, name_of(store, entity), params.get("session_uuid"), logs, sudo, script)


def person(store: Store, login: str) -> Entity:
    """The active person with that login; Refusal 102 if there is none."""
    for one in store.all_of("HumanUser"):
        if one.values.get("login") == login and not one.retired and one.values.get("sg_status_list") != "dis":
            return one
    raise not_authenticated(f"Can't authenticate user '{login}'.")


def script_user(store: Store, name: str) -> Entity | None:
    """The script user of that name, unless it is retired."""
    found = (one for one in store.all_of("ApiUser") if one.values.get("firstname") == name and not one.retired)
    return next(found, None)


def secret_of(store: Store, kind: str, name: str) -> str | None:
    """The secret of that script or user, or what a session token stands for; None if there is none of that name."""
    row = store.sql.execute("SELECT secret FROM credentials WHERE kind = ? AND name = ?", (kind, name)).fetchone()
    return row[0] if row else None


def set_secret(store: Store, kind: str, name: str, secret: str) -> None:
    """Let in who comes as ``kind`` (script or user) with that name and secret."""
    with store.transaction():
        row = (kind, name, secret)
        store.sql.execute("INSERT OR REPLACE INTO credentials (kind, name, secret) VALUES (?, ?, ?)", row)


def open_session(store: Store, caller: Actor) -> str:
    """A new session token of the caller."""
    token = secrets.token_hex(16)
    set_secret(store, "session", token, f"{caller.link.type}:{caller.link.id}")
    return token


def _caller(store: Store, params: Mapping[str, Any]) -> Entity:
    if "script_name" in params:
        name = str(params["script_name"])
        entity = script_user(store, name)
        if entity is None or not _right(store, "script", name, params.get("script_key")):
            raise not_authenticated(f"Can't authenticate script '{name}'")
        return entity
    if "user_login" in params:
        login = str(params["user_login"])
        if not _right(store, "user", login, params.get("user_password")):
            raise not_authenticated(f"Can't authenticate user '{login}'.")
        return person(store, login)
    if "session_token" in params:
        token = str(params["session_token"])
        kind, _, number = (secret_of(store, "session", token) or ":0").partition(":")
        found = store.get(Link(kind, int(number)))
        if found is None or found.retired:
            raise not_authenticated(f"Can't authenticate session token ending with '{token[-4:]}'")
        return found
    raise not_authenticated("Missing or invalid authentication arguments")


def _right(store: Store, kind: str, name: str, secret: object) -> bool:
    kept = secret_of(store, kind, name)
    return kept is not None and isinstance(secret, str) and secrets.compare_digest(kept.encode(), secret.encode())
