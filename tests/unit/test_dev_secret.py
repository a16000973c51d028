"""The secret of ``dev --forward``: made once, kept for its user alone, and no reason to fail."""

import base64
import os
import stat
from pathlib import Path

import pytest
from signalr_bridge.dev_secret import keep_secret


def kept(folder: Path) -> Path:
    return folder / "signalr-bridge" / "forward-secret"


def test_it_is_made_once_and_kept_for_its_user(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = keep_secret({"HOME": "/nowhere", "XDG_STATE_HOME": str(tmp_path)})
    finally:
        os.umask(before)
    file = kept(tmp_path)
    assert len(base64.b64decode(made.text.removeprefix("whsec_"))) == 32
    assert made.note == f"kept in {file}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert made.text not in repr(made)
    assert keep_secret({"XDG_STATE_HOME": str(tmp_path)}) == made


@pytest.mark.parametrize("state", ["", "relative/path"])
def test_without_a_state_folder_it_is_below_the_home_folder(tmp_path: Path, state: str) -> None:
    made = keep_secret({"HOME": str(tmp_path), "XDG_STATE_HOME": state})
    assert made.note == f"kept in {kept(tmp_path / '.local' / 'state')}"
    assert keep_secret({"HOME": str(tmp_path)}).text == made.text


@pytest.mark.parametrize("text", ["", "no secret", "whsec_", "whsec_\xe9", "whsec_!!!", "x" * 10_000])
def test_what_is_no_secret_is_replaced(tmp_path: Path, text: str) -> None:
    kept(tmp_path).parent.mkdir()
    kept(tmp_path).write_text(text)
    kept(tmp_path).chmod(0o600)
    made = keep_secret({"XDG_STATE_HOME": str(tmp_path)})
    assert kept(tmp_path).read_text() == made.text + "\n"


def test_what_others_could_have_read_or_put_there_is_replaced(tmp_path: Path) -> None:
    file, elsewhere = kept(tmp_path), tmp_path / "elsewhere"
    first = keep_secret({"XDG_STATE_HOME": str(tmp_path)})
    file.chmod(0o644)
    second = keep_secret({"XDG_STATE_HOME": str(tmp_path)})
    assert (second.text != first.text, stat.S_IMODE(file.stat().st_mode)) == (True, 0o600)

    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    third = keep_secret({"XDG_STATE_HOME": str(tmp_path)})
    assert (third.text != second.text, file.is_symlink()) == (True, False)
    assert elsewhere.read_text() == second.text + "\n"

    file.unlink()
    os.mkfifo(file)
    assert keep_secret({"XDG_STATE_HOME": str(tmp_path)}).text == file.read_text().strip()


def test_where_it_cannot_be_kept_it_is_used_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "signalr-bridge").write_text("a file where the folder would be")
    made = keep_secret({"XDG_STATE_HOME": str(tmp_path)})
    assert made.text.startswith("whsec_")
    assert made.note is not None
    assert made.note.startswith(f"not kept: {tmp_path / 'signalr-bridge'} cannot be written")

    taken = tmp_path / "state"
    kept(taken).mkdir(parents=True)
    assert (keep_secret({"XDG_STATE_HOME": str(taken)}).note or "").startswith("not kept: ")
    homeless = keep_secret({})
    assert homeless.note == "not kept: there is no home folder, so the next start makes another"
