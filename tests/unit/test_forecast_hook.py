"""The stack hook: what it shows, what it refuses, and that it never stops an operator by mistake."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from allocation import times
from stacks import forecast_hook, gateway
from stacks.settings import Budget, Settings
from stacks.settings_parsing import parse
from tests.unit.allocation.made_up import NOW, write_ledger
from tests.unit.recording import run
from tests.unit.settings_files import GOOD, configuration
from tests.unit.test_gateway import FACTS

Said = list[tuple[str, str]]
Judge = Callable[..., None]

# As the engine hands them over: every number a float.
OLD = {
    "pools": {
        "low": {"flavor": "m3.quad", "min": 1.0, "max": 4.0},
        "high": {"flavor": "m3.medium", "min": 1.0, "max": 2.0},
    }
}


def inputs(**changed: dict[str, object]) -> dict[str, Any]:
    pools = {name: {**pool, **changed.get(name, {})} for name, pool in OLD["pools"].items()}
    return {"pools": {**pools, **{name: pool for name, pool in changed.items() if name not in pools}}}


EXTRA: dict[str, object] = {"flavor": "m3.large", "min": 1.0, "max": 4.0}


def with_budget(**budget: object) -> Settings:
    settings = parse(*configuration(GOOD / "smallest.yaml"))
    return settings.model_copy(update={"budget": Budget.model_validate(budget)})


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """What Pulumi's log was given, by level."""
    heard: Said = []
    for level in ("info", "warn", "error"):
        monkeypatch.setattr(pulumi.log, level, lambda text, level=level: heard.append((level, text)))
    return heard


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """Just enough for the pools of ``OLD`` at 24 SU/h, not for more."""
    return str(write_ledger(tmp_path / "ledger.csv", burn=24, allocated=212_000))


def test_a_raise_is_shown_before_and_after(said: Said, ledger: str) -> None:
    forecast_hook.judge(with_budget(ledger=ledger), OLD, inputs(low={"max": 6.0}), now=NOW)
    [(level, text)] = said
    assert level == "info"
    assert text.startswith("price of the node pools")
    [ceiling] = [line.split() for line in text.splitlines() if line.startswith("ceiling, SU/h")]
    assert ceiling[-2:] == ["40.0", "48.0"]


def test_the_first_creation_has_no_before(said: Said, ledger: str) -> None:
    nothings: tuple[dict[str, Any] | None, ...] = (None, {})
    for nothing in nothings:
        said.clear()
        forecast_hook.judge(with_budget(ledger=ledger), nothing, OLD, now=NOW)
        assert "–" in said[0][1]


def test_advise_shows_what_enforce_refuses(said: Said, ledger: str) -> None:
    raised = inputs(extra=EXTRA)
    forecast_hook.judge(with_budget(ledger=ledger), OLD, raised, now=NOW)
    assert [level for level, _ in said] == ["info"]
    with pytest.raises(RuntimeError, match=r"refused, as gateway:budget\.policy is enforce") as refusal:
        forecast_hook.judge(with_budget(ledger=ledger, policy="enforce"), OLD, raised, now=NOW)
    assert "Runs dry on 2026-" in str(refusal.value)
    assert len(said) == 2, "the table is shown before the refusal"


def test_enforce_lets_through_what_fits(said: Said, tmp_path: Path) -> None:
    ample = write_ledger(tmp_path / "ample.csv", burn=24, allocated=400_000)
    forecast_hook.judge(with_budget(ledger=str(ample), policy="enforce"), OLD, inputs(extra=EXTRA), now=NOW)
    assert [level for level, _ in said] == ["info"]


@pytest.mark.parametrize(
    "new",
    [inputs(low={"max": 3.0}), {"pools": {"low": OLD["pools"]["low"]}}, {"pools": {}}],
    ids=["smaller", "one removed", "all removed"],
)
def test_lowering_is_never_refused(said: Said, tmp_path: Path, new: dict[str, Any]) -> None:
    overdrawn = write_ledger(tmp_path / "overdrawn.csv", burn=24, allocated=50_000)
    forecast_hook.judge(with_budget(ledger=str(overdrawn), policy="enforce"), OLD, new, now=NOW)
    missing = with_budget(ledger="/nowhere.csv", policy="enforce", require_data=True)
    forecast_hook.judge(missing, OLD, new, now=NOW)
    assert [level for level, _ in said] == ["info", "info", "warn"]


def test_what_saves_is_not_refused_though_its_ceiling_rises(said: Said, tmp_path: Path) -> None:
    overdrawn = str(write_ledger(tmp_path / "overdrawn.csv", burn=24, allocated=50_000))
    four, other = ({"low": {"flavor": "m3.quad", "min": low, "max": high}} for low, high in ((4, 4), (1, 5)))
    forecast_hook.judge(
        with_budget(ledger=overdrawn, policy="enforce"), {"pools": four}, {"pools": other}, now=NOW
    )
    assert [level for level, _ in said] == ["info"]
    old = stale(tmp_path)
    strict = with_budget(ledger=old, policy="enforce", require_data=True)
    with pytest.raises(RuntimeError, match=r"gateway:budget\.require_data is true"):
        forecast_hook.judge(strict, {"pools": four}, {"pools": other}, now=NOW)


def damaged(tmp_path: Path) -> str:
    path = tmp_path / "damaged.csv"
    path.write_bytes(b"\x00\xffno ledger\n" * 9)
    return str(path)


def stale(tmp_path: Path) -> str:
    return str(write_ledger(tmp_path / "old.csv", burn=24, allocated=1_000, until=NOW - 9 * times.DAY))


@pytest.mark.parametrize(
    ("ledger_of", "words"),
    [
        (damaged, "is not a ledger"),
        (stale, "the newest figure in"),
        (lambda tmp_path: str(tmp_path / "absent.csv"), "has no figure yet"),
        (str, "cannot"),
        (lambda _: None, "names no file"),
    ],
    ids=["damaged", "stale", "absent", "a folder", "none"],
)
def test_without_good_figures_it_warns_and_refuses_only_if_told_to(
    said: Said, tmp_path: Path, ledger_of: Callable[[Path], str | None], words: str
) -> None:
    ledger, raised = ledger_of(tmp_path), inputs(extra=EXTRA)
    forecast_hook.judge(with_budget(ledger=ledger, policy="enforce"), OLD, raised, now=NOW)
    [warning] = [text for level, text in said if level == "warn"]
    assert words in warning
    strict = with_budget(ledger=ledger, policy="enforce", require_data=True)
    with pytest.raises(RuntimeError, match=r"gateway:budget\.require_data is true"):
        forecast_hook.judge(strict, OLD, raised, now=NOW)
    advised = with_budget(ledger=ledger, policy="advise", require_data=True)
    forecast_hook.judge(advised, OLD, raised, now=NOW)


def test_a_bug_is_a_warning(said: Said, ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(forecast_hook, "change", broken)
    forecast_hook.judge(with_budget(ledger=ledger, policy="enforce"), OLD, inputs(extra=EXTRA), now=NOW)
    [(level, text)] = said
    assert level == "warn"
    assert "it failed by ZeroDivisionError: a bug" in text
    # Inputs of a form that nobody thought of are a bug as well.
    forecast_hook.judge(with_budget(ledger=ledger), {"pools": {"low": 7}}, OLD, now=NOW)
    assert said[-1][0] == "warn"


def test_what_cannot_be_loaded_early_is_left_to_the_forecast_to_tell(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    monkeypatch.setitem(sys.modules, "statsmodels.api", None)
    unhandled: list[object] = []
    monkeypatch.setattr(threading, "excepthook", unhandled.append)
    before = set(threading.enumerate())
    forecast_hook.load_early(with_budget(ledger=ledger))
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert unhandled == []


def test_an_unpriced_flavor_is_a_warning(said: Said, ledger: str) -> None:
    strange: dict[str, object] = {"flavor": "z9.huge", "min": 1.0, "max": 1.0}
    forecast_hook.judge(with_budget(ledger=ledger, policy="enforce"), OLD, inputs(strange=strange), now=NOW)
    assert "z9.huge" in said[0][1]


def test_the_settings_tell_prices_and_what_runs_beside(said: Said) -> None:
    settings = parse(*configuration(GOOD / "priced_flavor.yaml"))
    beside = Budget.model_validate({"beside": ({"flavor": "m3.small", "count": 2},)})
    pools = {name: pool.model_dump() for name, pool in settings.pools.items()}
    forecast_hook.judge(settings.model_copy(update={"budget": beside}), None, {"pools": pools}, now=NOW)
    # master 4, core 4, beside 2 × 2; low 4, high 10.5, gpu 4 × 6.4
    [floor] = [line for line in said[0][1].splitlines() if line.startswith("floor")]
    assert floor.split()[-1] == "52.1"


def test_without_a_cloud_the_price_is_shown_and_nothing_refused(said: Said, tmp_path: Path) -> None:
    strict = with_budget(policy="enforce", ledger=str(tmp_path / "absent.csv"), require_data=True)
    forecast_hook.show_without_cloud(strict)
    assert [level for level, _ in said] == ["info", "warn"]
    said.clear()
    forecast_hook.show_without_cloud(with_budget(policy="off"))
    assert said == []


def test_the_hook_is_bound_to_the_pools_alone_and_without_delete_hooks() -> None:
    registered = run(lambda: gateway.build(with_budget(), FACTS, "test"))
    for resource in registered.registered:
        bound = resource.request.hooks
        names = [*bound.before_create, *bound.before_update]
        assert names == (["price-of-pools"] * 2 if resource.name == "pools" else []), resource.name
        assert not [*bound.before_delete, *bound.after_delete, *bound.after_create, *bound.after_update]


def test_policy_off_has_no_hook() -> None:
    registered = run(lambda: gateway.build(with_budget(policy="off"), FACTS, "test"))
    assert not registered.one("pools").request.hooks.before_create


def test_relative_paths_count_from_the_projects_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    budget = Budget(ledger="docs/settings.md", plan=str(tmp_path / "plan.yaml"))
    assert budget.ledger_path is not None
    assert budget.ledger_path.exists()
    assert budget.plan_path == tmp_path / "plan.yaml"
    assert Budget().ledger_path is None
