"""Reads JSON, and flat ``key: value`` lines: all that these configurations have."""

import json


def safe_load(file):
    text = file.read()
    try:
        return json.loads(text)
    except ValueError:
        if text.lstrip().startswith(("{", "[")):
            raise
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {line.split(":", 1)[0].strip(): _value(line.split(":", 1)[1].strip()) for line in lines} or None


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text or None
