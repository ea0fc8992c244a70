"""Sign-in by the real JupyterHub and the real authenticators, configured by the program's values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oauthenticator.cilogon import CILogonOAuthenticator  # type: ignore[import-untyped]
from traitlets.config import Config

from stacks.settings_parsing import parse
from tests.lab import running_hub
from tests.lab.browser import Browser
from tests.lab.chart_config import hub_config
from tests.lab.github_like import Account, GitHubLike, serving
from tests.lab.running_hub import RunningHub
from tests.unit.settings_files import GOOD, configuration
from tests.unit.test_hub_values import settings_of, values_of

HOST = "gateway.example.org"
NO_CLUSTER = 'c.JupyterHub.spawner_class = "simple"\n'
"""No pods are made here, and so no cluster is asked for."""

GITHUB = {
    "client_id": "app",
    "allowed_organizations": ["lrose"],
    "allowed_teams": ["partners:radar"],
    "allowed_users": ["invited"],
    "admin_users": ["operator"],
}
ACCOUNTS = [
    Account(login="Member", organizations=("lrose",)),
    Account(login="TeamMate", organizations=("partners", "partners:radar")),
    Account(login="OtherTeam", organizations=("partners", "partners:lidar")),
    Account(login="Outsider", organizations=("elsewhere",), public=True),
    Account(login="Invited"),
    Account(login="Operator"),
]


def github_values() -> dict[str, Any]:
    config, secret = configuration(GOOD / "github_production.yaml")
    config["gateway:authentication"] = json.dumps({"github": GITHUB})
    return values_of(parse(config, secret))


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubLike]:
    """The OAuth server; the callback is the one that an operator registers, by the host's name."""
    server = GitHubLike(
        client_id="app",
        client_secret="a-secret",  # what stands in these values for a secret of Pulumi's
        callback=f"https://{HOST}/hub/oauth_callback",
        accounts=ACCOUNTS,
    )
    with serving(server):
        yield server


@pytest.fixture(scope="module")
def hub(github: GitHubLike, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub that asks this server in the place of GitHub."""
    with running_hub.running(
        tmp_path_factory.mktemp("hub"),
        github_values(),
        more=NO_CLUSTER,
        environment={"GITHUB_URL": github.url},
    ) as hub:
        yield hub


def sign_in(hub: RunningHub, github: GitHubLike, login: str) -> tuple[Browser, int]:
    """Someone opens the hub and presses its button; the browser, and the status of the page it ends on."""
    github.at_the_screen = login
    browser = Browser(hub.url, HOST)
    page = browser.get("/")
    assert "Sign in with GitHub" in page.text
    return browser, browser.get("/hub/oauth_login?next=%2Fhub%2Fhome").status_code


def known_users(hub: RunningHub) -> dict[str, bool]:
    """The hub's users, and whether each is an admin."""
    return {user["name"]: user["admin"] for user in hub.api("GET", "/users").json()}


@pytest.mark.parametrize(
    ("login", "name"),
    [("Member", "member"), ("TeamMate", "teammate"), ("Invited", "invited"), ("Operator", "operator")],
)
def test_who_is_allowed_gets_in_under_a_name_in_lower_case(
    hub: RunningHub, github: GitHubLike, login: str, name: str
) -> None:
    browser, status = sign_in(hub, github, login)
    assert status == 200
    assert browser.get("/hub/home").text.count(name)
    assert browser.visited[-2].startswith(f"https://{HOST}/hub/home")
    assert any(address.startswith(f"https://{HOST}/hub/oauth_callback?code=") for address in browser.visited)
    assert login not in known_users(hub)
    assert known_users(hub)[name] is (name == "operator")
    assert github.refused == []


@pytest.mark.parametrize("login", ["Outsider", "OtherTeam"])
def test_who_is_not_allowed_is_refused(hub: RunningHub, github: GitHubLike, login: str) -> None:
    browser, status = sign_in(hub, github, login)
    assert status == 403
    assert "Sign in" in browser.get("/hub/home").text, "the refused one is signed in"
    assert login.lower() not in known_users(hub)


def test_only_an_admin_administers(hub: RunningHub, github: GitHubLike) -> None:
    assert sign_in(hub, github, "Operator")[0].get("/hub/admin").status_code == 200
    assert sign_in(hub, github, "Member")[0].get("/hub/admin").status_code == 403


def test_who_has_left_the_organization_does_not_get_in_again(hub: RunningHub, github: GitHubLike) -> None:
    """Some authenticators let in whom the hub has seen before, as soon as anyone is allowed by name."""
    github.accounts["leaver"] = Account(login="Leaver", organizations=("lrose",))
    assert sign_in(hub, github, "Leaver")[1] == 200
    github.accounts["leaver"] = Account(login="Leaver")
    assert sign_in(hub, github, "Leaver")[1] == 403


def test_a_forged_answer_is_refused(hub: RunningHub, github: GitHubLike) -> None:
    browser = Browser(hub.url, HOST)
    browser.get("/")
    assert browser.get("/hub/oauth_callback?code=guessed&state=guessed").status_code in (400, 403)


def test_no_secret_is_in_the_hubs_log(hub: RunningHub, github: GitHubLike) -> None:
    sign_in(hub, github, "Member")
    assert "a-secret" not in hub.log
    assert hub.token not in hub.log


def test_cilogons_configuration_is_good_for_the_real_class() -> None:
    traits = hub_config(values_of(settings_of(GOOD / "cilogon_production.yaml")))
    assert traits["JupyterHub"]["authenticator_class"] == "cilogon"
    config = Config(
        {name: traits.get(name, {}) for name in ("CILogonOAuthenticator", "OAuthenticator", "Authenticator")}
    )
    authenticator = CILogonOAuthenticator(config=config)
    assert authenticator.oauth_callback_url == f"https://{HOST}/hub/oauth_callback"
    assert authenticator.client_secret == "a-secret"
    assert authenticator.idps
    assert authenticator.normalize_username("Ann@Example.ORG") == "ann@example.org"


def test_a_workshops_password_lets_anyone_in(tmp_path: Path) -> None:
    values = values_of(settings_of(GOOD / "public_workshop.yaml"))
    with running_hub.running(tmp_path, values, more=NO_CLUSTER) as hub:
        right, wrong = Browser(hub.url, HOST), Browser(hub.url, HOST)
        page = wrong.submit(wrong.get("/hub/login"), {"username": "Ann", "password": "guessed"})
        assert page.status_code == 403
        right.submit(right.get("/hub/login?next=%2Fhub%2Fhome"), {"username": "Ann", "password": "a-secret"})
        assert list(known_users(hub)) == ["ann"]
