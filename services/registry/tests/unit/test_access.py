import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_common.errors import InvalidInput
from heimnetz_registry.admitting import Guesses, Passwords
from heimnetz_registry.api.dependencies import positive, read_cursor, write_cursor
from heimnetz_registry.errors import TooManyGuesses
from heimnetz_registry.model import Person


def test_ten_wrong_guesses_a_minute_and_no_more() -> None:
    guesses = Guesses(10)
    for _ in range(10):
        guesses.check("1.2.3.4")
        guesses.add("1.2.3.4")

    with pytest.raises(TooManyGuesses) as caught:
        guesses.check("1.2.3.4")
    guesses.check("1.2.3.5")

    assert 1 <= caught.value.retry_after_seconds <= 60


def test_many_addresses_do_not_fill_the_memory() -> None:
    guesses = Guesses(10)
    for number in range(10_000):
        guesses.add(f"10.0.{number // 256}.{number % 256}")

    assert len(guesses._wrong) <= 4096


async def test_a_remembered_password_stops_fitting_when_the_hash_changes() -> None:
    passwords = Passwords()
    person = Person("anna", "owner", await passwords.hash("correct horse"), 0, None)
    changed = Person("anna", "owner", await passwords.hash("other horse"), 0, None)

    fits = [
        await passwords.fits(person, "correct horse"),
        await passwords.fits(person, "correct horse"),
        await passwords.fits(changed, "correct horse"),
        await passwords.fits(person, "wrong"),
        await passwords.fits(None, "correct horse"),
    ]

    assert fits == [True, True, False, False, False]


async def test_checking_many_passwords_at_once_does_not_stop_the_loop() -> None:
    passwords = Passwords()
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    beating = asyncio.create_task(beat())
    await asyncio.gather(*(passwords.fits(None, str(n)) for n in range(4)))
    beating.cancel()

    assert beats > 4


@given(st.integers(1, 2**63 - 1))
def test_cursors_read_back(number: int) -> None:
    assert read_cursor(write_cursor(number), positive) == number


@given(st.text(max_size=50))
def test_no_text_raises_anything_but_a_refusal_as_a_cursor(text: str) -> None:
    try:
        number = read_cursor(text, positive)
    except InvalidInput:
        return

    assert number is None or 0 < number < 2**63
