import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_manifest import ConfigurationSchema, InvalidConfiguration, SchemaMistake

SCHEMA = ConfigurationSchema(
    {
        "type": "object",
        "required": ["host"],
        "properties": {
            "host": {"type": "string"},
            "port": {"type": "integer", "default": 443},
            "password": {"type": "string", "secret": True, "minLength": 8},
            "mail": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "user": {"type": "string"},
                    "token": {"type": "string", "secret": True},
                },
            },
        },
    }
)
PLANTED = "hunter2-planted-secret"


def test_defaults_are_filled_in() -> None:
    assert SCHEMA.complete({"host": "a"}) == {"host": "a", "port": 443}


def test_secrets_are_known_by_pointer() -> None:
    assert SCHEMA.secrets == ("/password", "/mail/token")


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({}, ""),
        ({"host": 1}, "/host"),
        ({"host": "a", "hots": "b"}, ""),
        ({"host": "a", "mail": {"x": 1}}, "/mail"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_their_pointer(values: dict, pointer: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        SCHEMA.complete(values)

    assert [mistake.pointer for mistake in caught.value.mistakes] == [pointer]


def test_an_unknown_key_gets_the_nearest_one_suggested() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        SCHEMA.complete({"host": "a", "pasword": "b"})

    assert caught.value.mistakes[0].suggestion == "password"


@pytest.mark.parametrize(
    "values", [{"host": 1, "password": PLANTED}, {"host": "a", "mail": {"token": PLANTED, "x": PLANTED}}, {"host": "a", "password": {PLANTED: 1}}, {"password": PLANTED}]
)  # fmt: skip
def test_no_message_quotes_a_secret(values: dict) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        SCHEMA.complete(values)

    assert PLANTED not in str(caught.value) + repr(caught.value.mistakes)


@given(st.text(), st.text(), st.booleans())
def test_splitting_and_joining_are_inverse(password: str, token: str, has_mail: bool) -> None:
    values = {"host": "a", "password": password} | ({"mail": {"token": token}} if has_mail else {})

    shown, secrets = SCHEMA.split(values)

    assert SCHEMA.join(shown, secrets) == values
    assert shown["password"] == "***"
    assert set(secrets) <= set(SCHEMA.secrets)


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"properties": {"a": {"$ref": "#"}}}, ("properties", "a", "$ref")),
        ({"type": "array"}, ("type",)),
        ({"properties": []}, ("properties",)),
        ({"allOf": {}}, ("allOf",)),
        ({"properties": {"a": 1}}, ("properties", "a")),
        ({"properties": {"a": {"secret": "yes"}}}, ("properties", "a", "secret")),
        (
            {"anyOf": [{"properties": {"a": {"secret": True}}}]},
            ("anyOf", 0, "properties", "a", "secret"),
        ),
        ({"secret": True}, ("secret",)),
        ({"properties": {"a": {"minimum": "x"}}}, ("properties", "a", "minimum")),
    ],
)
def test_a_bad_schema_is_refused_with_its_place(schema: dict, where: tuple) -> None:
    with pytest.raises(SchemaMistake) as caught:
        ConfigurationSchema(schema)

    assert caught.value.where == where


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "allOf",
                    "not",
                    "secret",
                    "enum",
                    "pattern",
                    "default",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "allOf", "if", "secret", "default"]), JSON
    ),
    JSON,
)
def test_no_schema_and_no_value_raise_anything_but_a_refusal(schema: dict, values: object) -> None:
    try:
        checked = ConfigurationSchema(schema)
    except SchemaMistake:
        return

    list(checked.mistakes(values))
    checked.defaults()
