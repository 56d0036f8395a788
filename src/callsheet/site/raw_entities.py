"""A site's answer to a read, decoded together with each entity's own text.

The ledger keeps events as JSON text and workers get that text, so the daemon need not encode what it has just decoded: it keeps
the pieces of the answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

_decode_at = json.JSONDecoder().raw_decode
_list = re.compile(r'"entities"\s*:\s*\[\s*(?=[^\]\s])').search
_behind = re.compile(r"\s*([],])\s*").match

_DECODABLE = 500
"""Lists and objects within one another that the decoder surely takes."""
_DIGITS = 1000
"""Digits of a number that it surely takes."""
_token = re.compile(r'\s*([\[{]|[\]}]|"[^"\\]*(?:\\.[^"\\]*)*"|[,:]|[^\s\[\]{}",:]+)', re.DOTALL).match


def decoded(text: str) -> tuple[Any, list[str | None]]:
    """The answer, and the texts of its ``results.entities`` in order; none of these where it has no such list. ValueError if it
    isn't JSON.

    An entity that a decoder can't take (it is nested too deeply, a number has too many digits) comes without a text, with NaN in
    the place of what it has there; one that is no object as an empty one.
    """
    found = _list(text)
    if found is None:
        return _loads(text), []
    entities: list[Any] = []
    texts: list[str | None] = []
    at = found.end()
    try:
        more = True
        while more:
            entity, end, whole = _entity(text, at)
            entities.append(entity)
            texts.append(text[at:end] if whole else None)
            behind = _behind(text, end)
            if behind is None:
                break
            at, more = behind.end(), behind[1] == ","
        answer = _loads(f"{text[: found.end()]}]{text[at:]}")
        if answer["results"]["entities"] == [] and any(type(one) is dict for one in entities):
            if any(type(one) is not dict for one in entities):
                texts = [one if type(entity) is dict else None for entity, one in zip(entities, texts, strict=True)]
                entities = [entity if type(entity) is dict else {} for entity in entities]
            answer["results"]["entities"] = entities
            return answer, texts
    except (ValueError, KeyError, TypeError):  # no such answer; what it is, and whether it is anything, is for the decoder to say
        pass
    return _loads(text), []


def _entity(text: str, at: int) -> tuple[Any, int, bool]:
    """What stands there, where it ends, and whether it is all of it."""
    try:
        return *_decode_at(text, at), True
    except (RecursionError, ValueError):
        return *_reduced(text, at), False


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        return _reduced(text, 0)[0]


def _reduced(text: str, at: int) -> tuple[Any, int]:
    """The value that begins there, with NaN for what the decoder can't take, and where it ends. ValueError for what is no JSON."""
    kept: list[str] = []
    depth = 0
    while (found := _token(text, at)) is not None:
        at, piece = found.end(), found[1]
        if piece in "]}":
            depth -= 1
        if depth < _DECODABLE:
            kept.append("NaN" if len(piece) > _DIGITS and piece[0] != '"' else piece)
        elif depth == _DECODABLE and piece in "[{":
            kept.append("NaN")
        if piece in "[{":
            depth += 1
        if depth <= 0:
            break
    return json.loads("".join(kept)), at
