"""A site's answer to a read, decoded together with each entity's own text.

The ledger keeps events as JSON text and workers get that text, so the daemon need not encode what it has just decoded: it keeps
the pieces of the answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

_decode_at = json.JSONDecoder().raw_decode
_list = re.compile(r'"entities"\s*:\s*\[\s*(?=\{)').search
_behind = re.compile(r"\s*([],])\s*").match


def decoded(text: str) -> tuple[Any, list[str]]:
    """The answer, and the texts of its ``results.entities`` in order; none of these where it has no such list. ValueError if it
    isn't JSON.
    """
    found = _list(text)
    if found is None:
        return json.loads(text), []
    entities: list[Any] = []
    texts: list[str] = []
    at = found.end()
    try:
        more = True
        while more:
            entity, end = _decode_at(text, at)
            entities.append(entity)
            texts.append(text[at:end])
            behind = _behind(text, end)
            if behind is None:
                break
            at, more = behind.end(), behind[1] == ","
        answer = json.loads(f"{text[: found.end()]}]{text[at:]}")
        if answer["results"]["entities"] == []:
            answer["results"]["entities"] = entities
            return answer, texts
    except (ValueError, KeyError, TypeError):  # no such answer; what it is, and whether it is anything, is for the decoder to say
        pass
    return json.loads(text), []
