from typing import ClassVar

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from heimnetz_common.settings import ServiceSettings, load_settings


class LampSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HEIMNETZ_LAMP_")
    service: ClassVar[str] = "lamp"

    watts: int = Field(default=7, ge=1, description="power of the lamp, in watts")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIMNETZ_LAMP_WATTS", "9")

    assert load_settings(LampSettings).watts == 9


def test_a_wrong_value_stops_the_service_and_names_variable_value_and_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEIMNETZ_LAMP_WATTS", "bright")

    with pytest.raises(SystemExit) as ending:
        load_settings(LampSettings)

    said = capsys.readouterr().err
    assert ending.value.code == 78
    assert "HEIMNETZ_LAMP_WATTS='bright'" in said
    assert "power of the lamp, in watts" in said
    assert ".env" in said


def test_a_misspelt_variable_stops_the_service_and_names_the_right_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEIMNETZ_LAMP_WATT", "9")

    with pytest.raises(SystemExit):
        load_settings(LampSettings)

    assert "did you mean HEIMNETZ_LAMP_WATTS?" in capsys.readouterr().err


def test_a_service_without_a_url_uses_its_own_role_on_the_stacks_server() -> None:
    assert LampSettings().database == "postgresql://lamp@postgres:5432/heimnetz"
