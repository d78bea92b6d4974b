"""Passwords are kept with argon2id, and many who sign in at once take turns."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import hashers

from zenweb import settings as production
from zenweb.accounts.hashers import AT_ONCE, Argon2PasswordHasher


@pytest.fixture(autouse=True)
def as_in_production(settings: Any) -> None:
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS


def test_a_password_is_kept_as_owasp_says() -> None:
    kept = hashers.make_password("a long password")
    assert kept.startswith("argon2$argon2id$v=19$m=47104,t=1,p=1$")
    assert hashers.check_password("a long password", kept)
    assert not hashers.check_password("another password", kept)


def test_one_that_was_kept_at_another_cost_is_kept_anew() -> None:
    kept = hashers.Argon2PasswordHasher().encode("a long password", "salt" * 4)
    anew: list[str] = []
    assert hashers.check_password("a long password", kept, setter=anew.append)
    assert anew == ["a long password"]


def test_only_so_many_are_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, most, may_end = 0, 0, threading.Event()
    lock = threading.Lock()

    def look(*_: Any) -> bool:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
            if at_work == AT_ONCE:
                may_end.set()
        assert may_end.wait(10)
        with lock:
            at_work -= 1
        return True

    monkeypatch.setattr(hashers.Argon2PasswordHasher, "verify", look)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: Argon2PasswordHasher().verify("a", "b"), range(8)))
    assert most == AT_ONCE
