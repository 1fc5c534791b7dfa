"""Access tokens are bought when needed, and no more often."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from labelloop.errors import LabelStudioDenied
from labelloop.labelstudio.tokens import LegacyToken, PersonalToken, is_personal, lifetime
from support.keys import LEGACY, jwt


class Shop:
    def __init__(self, seconds: float) -> None:
        self.seconds, self.sold = seconds, 0

    def __call__(self) -> str:
        self.sold += 1
        return jwt(iat=10_000, exp=10_000 + self.seconds, serial=self.sold)


def test_the_two_kinds_are_told_apart_by_their_form() -> None:
    assert is_personal(jwt(token_type="refresh"))
    assert not any(map(is_personal, [LEGACY, "", "a.b.c", "..", "a.!.c", "e30.WzFd.x"]))


def test_a_legacy_token_is_sent_as_it_is() -> None:
    token = LegacyToken(LEGACY)
    assert token.header() == f"Token {LEGACY}"
    assert not token.renew(token.header())


def test_without_a_token_nothing_is_sent_and_the_mend_is_said() -> None:
    with pytest.raises(LabelStudioDenied, match="LABEL_STUDIO_API_KEY is not set"):
        LegacyToken("").header()


def test_an_access_token_serves_until_shortly_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, start = Shop(300), time.monotonic()
    token = PersonalToken(shop)
    first = token.header()
    assert first.startswith("Bearer ")
    for passed, sold in ((0, 1), (260, 1), (280, 2), (500, 2), (600, 3)):
        monkeypatch.setattr(time, "monotonic", lambda passed=passed: start + passed)
        token.header()
        assert shop.sold == sold


def test_a_clock_that_is_wrong_by_years_does_no_harm() -> None:
    """The end is counted from when the token was got, by our clock alone."""
    shop = Shop(300)  # issued and ended in 1970 by its own account
    token = PersonalToken(shop)
    assert token.header() == token.header()
    assert shop.sold == 1


def test_a_refused_access_token_is_replaced_once_by_however_many_threads() -> None:
    shop = Shop(300)
    token = PersonalToken(shop)
    refused = token.header()
    gate = threading.Barrier(8)

    def again(_: int) -> str:
        gate.wait()
        assert token.renew(refused)
        return token.header()

    with ThreadPoolExecutor(8) as pool:
        headers = set(pool.map(again, range(8)))
    assert len(headers) == 1
    assert refused not in headers
    assert shop.sold == 2


@pytest.mark.parametrize("access", ["opaque", jwt(), jwt(exp=5), jwt(exp="x", iat=1), jwt(exp=None, iat=None)])
def test_an_access_token_that_does_not_tell_its_end_is_not_kept(access: str) -> None:
    assert lifetime(access) == 0.0
    asked = []
    token = PersonalToken(lambda: asked.append(1) or access)  # type: ignore[func-returns-value]
    assert token.header() == token.header() == f"Bearer {access}"
    assert len(asked) == 2
