"""Uploads and downloads through the client: which of their failures pass, and that all of them end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import shotgun_api3

from callsheet.sandbox import Sandbox
from callsheet.wire import client_hook, deadlines, transient
from tests.support.gateway import Fault, Gateway, answer, closes, once, resets, says, trickles

client_hook.patch_imported()
TIMEOUT = 1.0
BYTES = b"jpeg" * 5000
FORM, PART, FILE = "/upload/upload_file", "/store/part", "/store/file"

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 20000\r\n\r\n"
BUSY: Mapping[str, Fault] = {
    **{f"status-{status}": says(answer("Slow Down", "text/plain", status)) for status in (408, 429, 500, 503)},
    "close": closes,
    "reset": resets,
    "nonsense": says(b"220 mail.studio ESMTP\r\n"),
    "trickling-headers": trickles(b"HTTP/1.1 200 OK\r\nX: "),
}
"""What passes, whoever says it."""
NO_SITE: Mapping[str, Fault] = {
    **{f"status-{status}": says(answer("no", "text/plain", status)) for status in (401, 403, 404, 502)},
    "html": says(answer("<html>Sign in</html>", "text/html")),
    "empty": says(answer()),
}
"""What no site says of a form."""
NO_FILE: Mapping[str, Fault] = {
    "cut": says(HEAD + BYTES[:7000]),
    "chunk-cut": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\njpeg"),
    "trickle": trickles(HEAD),
}
"""What is no whole file."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Sandbox() as sandbox, Gateway(sandbox.url) as gateway:
        sandbox.add_script("media", "media-key")
        gateway.media[FILE] = answer(BYTES, "image/jpeg")
        gateway.media[PART] = answer("", "text/plain", ETag='"5"')
        gateway.media[FORM] = answer("1\n:77\n", "text/plain")
        gateway.media["/upload/api_get_upload_link_info"] = answer(f"1\n{gateway.url}{PART}\n2026\nAttachment\nid\n", "text/plain")
        gateway.media["/upload/api_link_file"] = answer("1:78\n", "text/plain")
        yield gateway


@pytest.fixture
def sg(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(deadlines, "TIMEOUT", TIMEOUT)
    sg = shotgun_api3.Shotgun(gateway.url, "media", "media-key")  # type: ignore[attr-defined] # no types
    sg.BACKOFF = 0.001
    yield sg
    gateway.fault, gateway.only = None, ()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "frame.jpg"
    path.write_bytes(BYTES)
    return path


def upload(sg: Any, picture: Path) -> int:
    return int(sg.upload("Task", 301, str(picture), "sg_file"))


def upload_to_store(sg: Any, picture: Path) -> int:
    sg.server_info["s3_direct_uploads_enabled"] = True
    return int(sg.upload("Version", 401, str(picture), "sg_uploaded_movie"))


def download(sg: Any, gateway: Gateway, path: Path | None) -> Any:
    return sg.download_attachment({"url": gateway.url + FILE, "name": "a.jpg"}, file_path=path and str(path))


def fails(sg: Any, gateway: Gateway, path: str, fault: Fault, transfer: Callable[[], object]) -> bool:
    """Whether the failure of a transfer passes, which meets the fault at that path."""
    gateway.only, gateway.fault = (f" {path} ",), fault
    sg.close()
    before, met = transient.tally(), gateway.met
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any class
        transfer()
    assert gateway.met > met
    passes = transient.is_of_the_site(caught.value)
    assert transient.tally() == (before.failed + 1, before.transient + passes)
    return passes


def test_without_a_fault_all_arrives(sg: Any, gateway: Gateway, picture: Path, tmp_path: Path) -> None:
    assert (upload(sg, picture), upload_to_store(sg, picture)) == (77, 78)
    assert download(sg, gateway, None) == BYTES
    into = tmp_path / "into.jpg"
    assert download(sg, gateway, into) == str(into)
    assert into.read_bytes() == BYTES


@pytest.mark.parametrize("kind", [*BUSY, *NO_SITE])
def test_a_form_that_the_site_does_not_answer(sg: Any, gateway: Gateway, picture: Path, kind: str) -> None:
    assert fails(sg, gateway, FORM, {**BUSY, **NO_SITE}[kind], lambda: upload(sg, picture))


@pytest.mark.parametrize("said", [says(answer("0:no such entity", "text/plain")), says(answer("no", "text/plain", 413))])
def test_a_form_that_the_site_refuses(sg: Any, gateway: Gateway, picture: Path, said: Fault) -> None:
    assert not fails_by_itself(gateway, FORM, said, lambda: upload(sg, picture))


@pytest.mark.parametrize("kind", [*BUSY, "html"])
def test_a_store_that_is_busy_with_an_upload(sg: Any, gateway: Gateway, picture: Path, kind: str) -> None:
    assert fails(sg, gateway, PART, {**BUSY, **NO_SITE}[kind], lambda: upload_to_store(sg, picture))


@pytest.mark.parametrize("to_disk", [True, False])
@pytest.mark.parametrize("kind", [*BUSY, *NO_FILE])
def test_a_store_that_is_busy_with_a_download(sg: Any, gateway: Gateway, tmp_path: Path, kind: str, to_disk: bool) -> None:
    into = tmp_path / "into.jpg" if to_disk else None
    assert fails(sg, gateway, FILE, {**BUSY, **NO_FILE}[kind], lambda: download(sg, gateway, into))


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_what_a_store_refuses_is_meant(sg: Any, gateway: Gateway, picture: Path, status: int) -> None:
    refusal = says(answer("no", "application/xml", status))
    assert not fails(sg, gateway, FILE, refusal, lambda: download(sg, gateway, None))
    assert not fails(sg, gateway, PART, refusal, lambda: upload_to_store(sg, picture))


def test_the_clients_own_second_try_sends_the_whole_file(sg: Any, gateway: Gateway, picture: Path) -> None:
    gateway.only, gateway.fault = (f" {PART} ",), once(BUSY["status-503"], lambda: gateway)
    sg.close()
    assert upload_to_store(sg, picture) == 78
    assert gateway.received[PART] == BYTES


def test_a_file_that_can_not_be_written_is_the_callers(sg: Any, gateway: Gateway, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Unable to write Attachment") as caught:
        download(sg, gateway, tmp_path / "no" / "such" / "folder.jpg")
    assert not transient.is_of_the_site(caught.value)


def test_an_address_that_is_none_is_the_callers(sg: Any) -> None:
    with pytest.raises(shotgun_api3.shotgun.ShotgunFileDownloadError) as caught:
        sg.download_attachment({"url": "mine:///no/address"})
    assert not transient.is_of_the_site(caught.value)


def test_an_id_without_a_colon_is_read(sg: Any, gateway: Gateway, picture: Path) -> None:
    gateway.only, gateway.fault = (FORM,), says(answer("1\n79\n", "text/plain"))
    assert upload(sg, picture) == 79


def fails_by_itself(gateway: Gateway, path: str, fault: Fault, transfer: Callable[[], object]) -> bool:
    """The same where the client itself refuses the result, behind the transfer."""
    gateway.only, gateway.fault = (path,), fault
    with pytest.raises(shotgun_api3.ShotgunError) as caught:  # type: ignore[attr-defined] # no types
        transfer()
    return transient.is_of_the_site(caught.value)
