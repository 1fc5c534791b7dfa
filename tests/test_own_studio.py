"""The Label Studio that `labelloop up` runs: how to get in, what it keeps, what it says when it cannot start."""

import socket
import stat
from pathlib import Path

import pytest
import requests

from labelloop.cli.child import Child, Program
from labelloop.cli.studio import Studio, start_studio
from labelloop.cli.studio_access import Credentials
from labelloop.cli.studio_install import VERSION
from labelloop.errors import StartError
from support.studio_process import StudioProcess


def access_token(studio: StudioProcess) -> requests.Response:
    return requests.post(f"{studio.url}/api/token/refresh", json={"refresh": studio.api_key}, timeout=30)


def test_compose_runs_the_label_studio_that_is_tested() -> None:
    compose = (Path(__file__).parents[1] / "docker" / "compose.yaml").read_text()

    assert f"heartexlabs/label-studio:${{LABEL_STUDIO_VERSION:-{VERSION}}}\n" in compose


@pytest.mark.studio
def test_the_personal_access_token_can_be_exchanged(studio: StudioProcess) -> None:
    access = access_token(studio).json()["access"]
    me = requests.get(
        f"{studio.url}/api/current-user/whoami", headers={"Authorization": f"Bearer {access}"}, timeout=30
    )
    assert me.json()["email"] == studio.username


@pytest.mark.studio
def test_a_legacy_token_works_only_while_it_is_allowed(studio: StudioProcess) -> None:
    headers = {"Authorization": f"Token {studio.legacy_key}"}
    codes = []
    for allowed in (False, True, False):
        studio.allow_legacy_key(allowed)
        codes.append(requests.get(f"{studio.url}/api/projects", headers=headers, timeout=30).status_code)
    assert codes == [401, 200, 401]


@pytest.mark.studio
def test_it_listens_on_loopback_alone(studio: StudioProcess) -> None:
    port = int(studio.url.rpartition(":")[2])
    listening = f"0100007F:{port:04X}"
    locals_ = [
        line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"
    ]
    assert [address for address in locals_ if address.endswith(f":{port:04X}")] == [listening]


@pytest.mark.studio
def test_credentials_are_for_this_user_alone_and_in_no_command_line(studio: StudioProcess) -> None:
    kept = next(path for path in studio.home.glob("credentials*"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert studio.password not in Path(f"/proc/{studio.pid}/cmdline").read_text()
    log = (studio.home / "label-studio.log").read_text()  # of the first start, too, which makes the user
    assert "Initializing database" in log
    assert studio.password not in log
    assert studio.api_key not in log
    assert Credentials.kept_in(kept).secret_key not in log


@pytest.mark.studio
def test_it_signs_with_a_key_that_it_can_read_again(studio: StudioProcess) -> None:
    """Of its own keys one in fifty begins with a dollar sign, which it takes for a reference after a restart."""
    assert not list(studio.home.glob("data/.env")), "it has made a key of its own"
    environment = Path(f"/proc/{studio.pid}/environ").read_bytes().decode()
    assert f"SECRET_KEY={Credentials.kept_in(studio.home / 'credentials.json').secret_key}" in environment


def test_a_label_studio_from_before_keeps_the_key_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text('{"username": "a@b.c", "password": "secret", "api_key": "token"}')
    older, newer = Studio(tmp_path, port=1), Studio(tmp_path / "new", port=1)
    assert "SECRET_KEY" not in older.environment()
    assert len(newer.environment()["SECRET_KEY"]) > 50
    assert newer.environment() == Studio(tmp_path / "new", port=1).environment()
    assert newer.credentials.secret_key not in repr(newer.credentials)


@pytest.mark.studio
@pytest.mark.slow
def test_a_second_start_keeps_user_token_and_data(studio: StudioProcess) -> None:
    before = (studio.username, studio.password, studio.api_key, studio.url)
    studio.kill()
    studio.start()
    assert (studio.username, studio.password, studio.api_key, studio.url) == before
    assert access_token(studio).ok


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port} cannot be had for Label Studio"):
            Studio(tmp_path, port=port).program()


def test_a_label_studio_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(Program("label-studio", ["/bin/sh", "-c", "echo no such table; exit 3"], tmp_path / "log"))
    child.start()
    with pytest.raises(StartError, match=r"ended with exit code 3(.|\n)*no such table"):
        Studio(tmp_path, port=1).wait_ready(child)


def test_credentials_are_made_once_and_do_not_show_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    made = Credentials.kept_in(path)
    assert Credentials.kept_in(path) == made
    assert made.password not in repr(made)


def test_settings_of_another_label_studio_do_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_DJANGO_DB", "default")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "of another")
    environment = Studio(tmp_path, port=1).environment()
    assert environment["LABEL_STUDIO_DJANGO_DB"] == "sqlite"
    assert "LABEL_STUDIO_API_KEY" not in environment


@pytest.mark.studio
@pytest.mark.slow
def test_a_token_that_is_not_known_here_is_told_plainly(studio: StudioProcess, tmp_path: Path) -> None:
    known = Credentials(studio.username, studio.password)
    with pytest.raises(StartError, match="access token"):
        known.with_token(studio.url, tmp_path / "credentials.json")


def test_a_start_without_uv_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("labelloop.cli.studio_install.sys.executable", str(tmp_path / "python"))
    with pytest.raises(StartError, match="uv, which installs Label Studio, was not found"):
        start_studio(tmp_path, port=1)
