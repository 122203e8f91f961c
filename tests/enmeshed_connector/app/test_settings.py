from pathlib import Path

import pytest

from enmeshed_connector.app.settings import SettingsInvalid, load_settings, printable
from enmeshed_connector.app.settings_sample import sample

ROOT = Path(__file__).parents[3]


def test_defaults_host_one_account_on_loopback() -> None:
    settings = load_settings(file=None, environment={})
    assert settings.server.host == "127.0.0.1"
    assert list(settings.accounts) == ["default"]


def test_flags_win_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[server]\nport = 1\nhost = '127.0.0.2'\n[log]\nlevel = 'debug'\n")
    settings = load_settings(
        file=file,
        environment={"ENMESHED_SERVER__PORT": "2", "ENMESHED_SERVER__HOST": "127.0.0.3"},
        flags={"server.port": "3"},
    )
    assert (settings.server.port, settings.server.host, settings.log.level) == (3, "127.0.0.3", "debug")


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[accounts.alice]\n[accounts.bob]\ndatawallet = true\n")
    settings = load_settings(file=None, environment={"ENMESHED_CONFIG": str(file)})
    assert settings.accounts["bob"].datawallet
    assert not settings.accounts["alice"].datawallet


def test_a_secret_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    settings = load_settings(file=None, environment={"ENMESHED_BACKBONE__CLIENT_SECRET_FILE": str(secret)})
    assert settings.backbone.client_secret.get_secret_value() == "hush"


def test_an_option_whose_name_ends_in_file_is_not_read_as_one(tmp_path: Path) -> None:
    settings = load_settings(file=None, environment={"ENMESHED_API_KEYS__BOOTSTRAP_FILE": "/run/keys"})
    assert settings.api_keys.bootstrap_file == Path("/run/keys")


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({"ENMESHED_SERVER__PRT": "1"}, "server.prt"),
        ({"ENMESHED_SERVER__PORT": "many"}, "server.port"),
        ({"ENMESHED_SERVER__HOST": ""}, "server.host"),
        ({"ENMESHED_BACKBONE__BASE_URL": "http://localhost:99999"}, "backbone.base_url"),
        ({"ENMESHED_BACKBONE__BASE_URL": "http://:80"}, "backbone.base_url"),
        ({"ENMESHED_SERVER__PORT": "65536"}, "server.port"),
        ({"ENMESHED_NOTHING__X": "1"}, "nothing"),
        ({"ENMESHED_DATABASE__DRIVER": "oracle"}, "database.driver"),
        ({"ENMESHED_DATABASE__DRIVER": "motor"}, "database"),
        ({"ENMESHED_SERVER__TLS_KEY_FILE": "/key"}, "server"),
        ({"ENMESHED_SERVER__CLIENT_CA_FILE": "/ca"}, "server"),
        ({"ENMESHED_BACKBONE__BASE_URL": "ftp://x"}, "backbone.base_url"),
        ({"ENMESHED_BACKBONE__BASE_URL": "http://a|b"}, "backbone.base_url"),
        ({"ENMESHED_ACCOUNTS__A B__DATAWALLET": "true"}, "accounts"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], field: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(file=None, environment=environment)
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize(
    "environment",
    [
        {"ENMESHED_BACKBONE__CLIENT_SECRET_FILE": "/nonexistent"},
        {"ENMESHED_BACKBONE__CLIENT_SECRET_FILE": "/x", "ENMESHED_BACKBONE__CLIENT_SECRET": "y"},
        {"ENMESHED_CONFIG": "/nonexistent"},
    ],
)
def test_a_source_that_cannot_be_read_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsInvalid, match=r"nonexistent|CLIENT_SECRET"):
        load_settings(file=None, environment=environment)


def test_secrets_do_not_show() -> None:
    environment = {
        "ENMESHED_BACKBONE__CLIENT_SECRET": "hush",
        "ENMESHED_DATABASE__CONNECTION_STRING": "mongodb://u:hush@h",
    }
    settings = load_settings(file=None, environment=environment)
    assert "hush" not in str(printable(settings))
    assert "hush" not in repr(settings)


def test_a_wrong_secret_is_not_echoed() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(file=None, environment={"ENMESHED_BACKBONE__CLIENT_SECRET__X": "hush"})
    assert "hush" not in str(caught.value)


def test_the_sample_loads_and_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    file.write_text(sample())
    assert load_settings(file=file, environment={}) == load_settings(file=None, environment={})


def test_the_committed_sample_is_current() -> None:
    assert (ROOT / "docs" / "settings.sample.toml").read_text() == sample()


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("server.prt", "port"),
        ("sevrer.port", "server"),
        ("accounts.alice.data_wallet", "datawallet"),
        ("accounts.alice.decider.automation", "automation_config"),
    ],
)
def test_an_unknown_setting_is_told_with_the_one_that_is_meant(path: str, meant: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"there is no such setting: is {meant} meant") as caught:
        load_settings(file=None, environment={}, flags={path: "1"})
    assert path.startswith(caught.value.violations[0].field)


def test_a_value_in_the_place_of_a_section_is_said_so() -> None:
    with pytest.raises(SettingsInvalid, match="server: is a section, not a value"):
        load_settings(file=None, environment={}, flags={"server": "5"})


def test_a_variable_with_one_underscore_too_few_is_an_error() -> None:
    with pytest.raises(SettingsInvalid, match="ENMESHED_API_KEYS__BOOTSTRAP_FILE"):
        load_settings(file=None, environment={"ENMESHED_API_KEYS_BOOTSTRAP_FILE": "/run/keys"})


def test_variables_that_are_no_settings_are_left_alone() -> None:
    # What clients of the command line read, and what Kubernetes sets for a service named enmeshed-server.
    others = {"ENMESHED_API_KEY": "k", "ENMESHED_ACCOUNT": "a", "ENMESHED_SERVER_PORT": "tcp://10.0.0.1:50051"}
    assert load_settings(file=None, environment=others) == load_settings(file=None, environment={})


def test_a_file_that_is_nested_too_deep_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("a = " + "[" * 50_000)
    with pytest.raises(SettingsInvalid, match="nested too deep"):
        load_settings(file=file, environment={})


def test_passwords_in_urls_and_options_do_not_show() -> None:
    flags = {
        "backbone.proxy": "http://user:hush@proxy:3128",
        "backbone.base_url": "http://user:hush@localhost:8090",
        "accounts.alice.modules.erp.options.api_token": "hush",
        "accounts.alice.modules.erp.options.url": "https://erp",
    }
    shown = printable(load_settings(file=None, environment={}, flags=flags))
    assert "hush" not in str(shown)
    assert shown["backbone"]["proxy"] == "http://**********@proxy:3128"
    assert shown["accounts"]["alice"]["modules"]["erp"]["options"]["url"] == "https://erp"
