"""Downloads from a server of this machine: resumed, verified, unpacked; and what is said where there is none."""

import hashlib
import importlib.util
import io
import socket
import tarfile
from pathlib import Path

import pytest

from castalia.data import download
from castalia.data.catalogue import PUBLIC_SETS, PublicSet, find_public_set
from castalia.data.download import fetch
from castalia.data.file_layout import shipped_layouts
from castalia.errors import ConfigError, DataError, MachineError

TEXT = b"x,y\n" + b"".join(b"%d,%d\n" % (row, row * row) for row in range(5000))
SHA256 = hashlib.sha256(TEXT).hexdigest()


def server_of_this_machine():
    spec = importlib.util.spec_from_file_location("local_server", Path(__file__).with_name("local_server.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.serving


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "_PIECE", 1000)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in (("A/readme", b"hello"), ("A/files/data.csv", TEXT)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    page = b"<!DOCTYPE html><html>Sign in</html>"
    with server_of_this_machine()(**{"a.csv": TEXT, "all.tar": archive.getvalue(), "page.csv": page}) as running:
        yield running


def public(server, name="a.csv", member=None, file="a.csv"):
    page = "https://example.org/record/1"
    return PublicSet("test", "a set", page, f"{server.address}/{name}", file, "cms-zmumu", member)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_with_its_checksum(server, tmp_path):
    seen = []
    found = fetch(public(server), tmp_path / "new", lambda *state: seen.append(state))
    assert (found.path, found.sha256, found.state) == (tmp_path / "new" / "a.csv", SHA256, "downloaded")
    assert found.path.read_bytes() == TEXT
    assert listing(tmp_path / "new") == ["a.csv", "a.csv.sha256"]
    assert (tmp_path / "new" / "a.csv.sha256").read_text() == f"{SHA256}  a.csv\n"
    assert seen[-1] == (len(TEXT), len(TEXT), None)
    assert [state[0] for state in seen] == sorted(state[0] for state in seen)


def test_what_is_there_is_verified_without_the_network(server, tmp_path):
    fetch(public(server), tmp_path)
    asked = len(server.asked)
    assert fetch(public(server), tmp_path).state == "verified"
    (tmp_path / "a.csv").write_bytes(TEXT[:-1])
    with pytest.raises(DataError, match=r"a\.csv: has the SHA-256 .* not .* which a\.csv\.sha256 recorded first"):
        fetch(public(server), tmp_path)
    assert len(server.asked) == asked


def test_what_was_put_there_by_hand_is_recorded(server, tmp_path):
    (tmp_path / "a.csv").write_bytes(TEXT)
    assert fetch(public(server), tmp_path).state == "recorded"
    assert fetch(public(server), tmp_path).state == "verified"
    assert server.asked == []


def test_a_download_that_was_cut_off_goes_on(server, tmp_path):
    server.most = 20_000
    with pytest.raises(MachineError, match=rf"ended after 20000 of {len(TEXT)} bytes; run the command again"):
        fetch(public(server), tmp_path)
    assert listing(tmp_path) == [".a.part.csv"]
    server.most = None
    assert fetch(public(server), tmp_path).sha256 == SHA256
    assert server.asked == [None, "bytes=20000-"]
    assert listing(tmp_path) == ["a.csv", "a.csv.sha256"]


def test_it_begins_anew_where_the_server_cannot_go_on(server, tmp_path):
    (tmp_path / ".a.part.csv").write_bytes(b"z" * 100)
    server.ranges = False
    assert fetch(public(server), tmp_path).sha256 == SHA256
    (tmp_path / "a.csv").unlink()
    (tmp_path / ".a.part.csv").write_bytes(b"z" * (len(TEXT) + 100))
    server.ranges = True
    assert fetch(public(server), tmp_path).sha256 == SHA256, "what was there is longer than the file"


def test_another_content_than_the_first_is_refused(server, tmp_path):
    fetch(public(server), tmp_path)
    (tmp_path / "a.csv").unlink()
    server.content["/a.csv"] = TEXT + b"1,2\n"
    with pytest.raises(DataError, match="recorded first"):
        fetch(public(server), tmp_path)
    assert not (tmp_path / "a.csv").exists()


def test_one_file_is_taken_out_of_an_archive(server, tmp_path):
    found = fetch(public(server, "all.tar", "A/files/data.csv", "data.csv"), tmp_path)
    assert found.path.read_bytes() == TEXT
    assert listing(tmp_path) == ["data.csv", "data.csv.sha256"]
    (tmp_path / "data.csv").unlink()
    with pytest.raises(DataError, match="is no archive that holds A/nothing"):
        fetch(public(server, "all.tar", "A/nothing", "data.csv"), tmp_path)
    with pytest.raises(DataError, match="is no archive"):
        fetch(public(server, "page.csv", "A/files/data.csv", "data.csv"), tmp_path)
    assert listing(tmp_path) == ["data.csv.sha256"]


def test_a_web_page_is_not_kept(server, tmp_path):
    with pytest.raises(DataError, match="is a web page"):
        fetch(public(server, "page.csv"), tmp_path)
    assert listing(tmp_path) == []


# --- without a network ------------------------------------------------------------------------------------------------


def said_by(one, folder):
    with pytest.raises(MachineError) as caught:
        fetch(one, folder)
    text = str(caught.value)
    assert "\n" not in text
    assert one.address in text
    assert f"get a.csv from {one.page} elsewhere, put it down as {folder / 'a.csv'}, and run" in text
    return text


def test_an_address_that_does_not_answer_is_said_with_what_to_do(server, tmp_path, monkeypatch):
    assert "404" in said_by(public(server, "nothing"), tmp_path)

    def blocked(*arguments, **options):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", blocked)
    assert "Network is unreachable" in said_by(public(server), tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    assert "Network is unreachable" in said_by(public(server), tmp_path)
    assert listing(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_not_taken_for_a_lack_of_network(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="file.*cannot be written"):
        fetch(public(server), tmp_path / "file")
    (tmp_path / ".a.part.csv").mkdir()
    with pytest.raises(MachineError, match="cannot be written"):
        fetch(public(server), tmp_path)


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_every_public_set_can_be_read_once_it_is_there():
    assert len({one.name for one in PUBLIC_SETS}) == len(PUBLIC_SETS)
    for one in PUBLIC_SETS:
        assert find_public_set(one.name) is one
        assert one.layout in shipped_layouts()
        assert one.address.startswith("https://")
        assert one.address.startswith(one.page)
        assert Path(one.file).suffix in {".root", ".csv"}
        assert (one.member is None) == (one.address.rsplit("/", 1)[-1] == one.file)


def test_an_unknown_set_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"no public set 'cms'; choose one of cms-record-212, cms-zmumu\."):
        find_public_set("cms")
