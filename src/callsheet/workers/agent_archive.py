"""Builds the archive that workers run: ``agent-<hash>.pyz``, the agent and what plugins import, and nothing else.

The same sources give the same bytes and so the same name. What stands under that name is left alone if it is that: its content is
compared, and nobody else may write it. Beside each module stands its byte code for the daemon's own Python, which saves a worker
60 ms; another Python takes the source.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import os
import stat
import tempfile
import zipfile
from pathlib import Path

import callsheet
from callsheet.errors import StateError, in_words
from callsheet.state_folder import is_shared

_MAIN = b'from callsheet.agent.serve import main\n\nif __name__ == "__main__":\n    main()\n'
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can hold; a real one would change the bytes with each build


def build(state: Path) -> Path:
    """The archive's path in the state folder, made if it is not there. Raises StateError when that can't be written."""
    content = _content()
    path = state / f"agent-{hashlib.sha256(content).hexdigest()[:16]}.pyz"
    try:
        if _is_ours(path, content):
            return path
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=state, prefix=".agent-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                if is_shared(state):
                    os.fchmod(descriptor, 0o640)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StateError(f"The agent's archive {path} can't be written: {in_words(error)}.") from error
    return path


def _is_ours(path: Path, content: bytes) -> bool:
    """Whether the file is there, with that content, and nobody can change it but whose the folder is, this user and root."""
    try:
        found, folder = path.lstat(), path.parent.stat()
        trusted = found.st_uid in {0, os.geteuid(), folder.st_uid} and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return trusted and stat.S_ISREG(found.st_mode) and path.read_bytes() == content
    except (FileNotFoundError, PermissionError):
        return False


def _content() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in _sources():
            _add(archive, name, source)
            if name != "__main__.py":
                _add(archive, f"{name}c", _compiled(name, source))
    return buffer.getvalue()


def _sources() -> list[tuple[str, bytes]]:
    package = Path(callsheet.__file__).parent
    offered = [package / name for name in ("__init__.py", "toolkit.py", "version.py")]
    files = [*offered, *sorted((package / "agent").rglob("*.py")), *sorted((package / "wire").rglob("*.py"))]
    return [("__main__.py", _MAIN), *((str(file.relative_to(package.parent)), file.read_bytes()) for file in files)]


def _compiled(name: str, source: bytes) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True)
    # PEP 552, hash-based and unchecked: the archive is never edited, and its name tells what is in it.
    flags = (1).to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
