"""Every mistake in a configuration is found before anything runs, all at once, with its dotted path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from densitylab import build, config
from densitylab.command import open_hydra, parse
from densitylab.errors import ConfigError
from densitylab.preflight import Plan, preflight
from tests.toybox.project import ROOT, TOYBOX, Project

OPTIONS = {
    folder.name: "+experiment" if folder.name == "experiment" else folder.name
    for folder in sorted((ROOT / "conf").iterdir())
    if folder.is_dir() and folder.name != "hydra"
}
NEEDS = {
    "task=evaluate": ["task.model=folder"],
    "task=import": ["task.path=file", "task.program=psi4"],
    "task=export": ["task.path=file.h5"],
    "task=predict": ["task.path=mol.xyz", "task.model=folder"],
    "trainer=ddp_nodes": ["trainer.num_nodes=2"],
    "task=design_basis": ["task.functions=100"],
    "basis=file": ["basis.path=my.gbs"],
    "structures=files": ["structures.paths=my.xyz"],
    "structures=dna": ["structures.sequence=ACGT"],
    "structures=dna_file": ["structures.path=my.pdb"],
    "structures=dna_thermal": ["structures.sequence=ACGT"],
}
Check = Callable[..., Plan]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    project = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DENSITYLAB_CONF", str(project.conf))
    monkeypatch.setattr(sys, "path", [*sys.path, str(TOYBOX)])
    monkeypatch.setattr(build, "ALLOWED", (*build.ALLOWED, "toys"))
    build.resolve.cache_clear()
    yield project
    build.resolve.cache_clear()


@pytest.fixture
def check(project: Project) -> Check:
    def check(*words: str) -> Plan:
        args = parse(list(words))
        with open_hydra(args) as hydra:
            return preflight(hydra, args.overrides, args.multirun)

    return check


MISTAKES = {
    ("modle=x",): "modle: unknown key, did you mean model?",
    ("sede=1",): "sede: unknown key, did you mean seed?",
    ("model=nett",): "model=nett: no such option, did you mean model=net?",
    ("model=zebra",): "model=zebra: no such option; there are net, other",
    ("+experiment=swep",): "experiment=swep: no such option, did you mean experiment=sweep?",
    ("experiment=sweep",): "experiment=sweep: no experiment is chosen yet, write +experiment=sweep",
    ("+model=net",): "+model=net: model is always there, write model=net",
    ("hydra/lancher=basic",): "hydra/lancher: unknown key, did you mean hydra/launcher?",
    ("model.lmx=2",): "model.lmx: unknown key, did you mean model.lmax?",
    ("model.head.widht=2",): "model.head.widht: unknown key, did you mean model.head.width?",
    ("model.zebra=2",): "model.zebra: unknown key; known here: _target_, channels, cutoff, head, kind, lmax",
    ("model.chanels=2",): "model.chanels: unknown key, did you mean +model.channels?",
    ("model.channels=2",): "model.channels: legal but not listed in the YAML, write +model.channels=2",
    ("+model.lmx=2",): "model.lmx: unknown key, did you mean lmax?",
    ("+model.lmax=1",): "+model.lmax=1: exists already, write it without +",
    ("~model.lmx",): "model.lmx: unknown key, did you mean model.lmax?",
    ("seed.x=1",): "seed.x=1: seed is a value, it has no keys",
    ("model.lmax=???",): "model.lmax: a value is required (it is ??? in the YAML)",
    ("model.lmax=two",): "model.lmax: expected int, got 'two'",
    ("model.lmax=2.5",): "model.lmax: expected int, got 2.5",
    ("model.lmax=null",): "model.lmax: expected int, got null",
    ("~model.lmax",): "model.lmax: required by Net, but not set",
    ("+model.kind=naturel",): "model.kind: expected one of natural, both, got 'naturel', did you mean",
    ("+model.sizes=[1,b]",): "model.sizes: expected tuple[int, ...], got [1, 'b']",
    ("seed=one",): "seed: expected int, got 'one'",
    ("paths.outputs=1",): "paths.outputs: expected str, got 1",
    ("+paths.output=x",): "paths.output: unknown key, did you mean outputs?",
    ("model.lmax=[1,2",): "model.lmax=[1,2: not of the form key=value",
    ("model=net", "train"): "train: not of the form key=value",
    ("model.lmax=${nix}",): "model.lmax: Interpolation key 'nix' not found",
    ("model.lmax=${nix:1}",): "model.lmax: Unsupported interpolation type nix",
    ("model.lmax=1,2",): "model.lmax=1,2: several values make a sweep; add -m, or write [a,b] for a list",
    ("-m", "hydra.verbose=true,false"): "Hydra's own keys cannot sweep",
    ("-m", "model.lmax=1,2", "hydra.sweep.subdir=x"): "hydra.sweep.subdir: 2 points share outputs/work_",
    ("model._target_=toys.Nett",): "model._target_: toys.Nett does not exist, did you mean Net?",
    ("model.head._target_=os.system",): "model.head._target_: os.system is refused",
    ("task._target_=toys.wrk",): "task._target_: toys.wrk does not exist, did you mean work?",
    ("+task.run=x",): "task.run: unknown key",
    ("report={_target_:toys.table,y:1}",): "report.y: unknown key; known here: x",
}


@pytest.mark.parametrize(("words", "expected"), MISTAKES.items(), ids=[" ".join(words) for words in MISTAKES])
def test_a_mistake_is_named_and_nothing_else_is(check: Check, words: tuple[str, ...], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(*words)
    title, *problems = str(caught.value).splitlines()
    assert title == "1 problem in the configuration"
    assert len(problems) == 1
    assert expected in problems[0]


def test_all_mistakes_of_all_points_come_at_once(check: Check) -> None:
    with pytest.raises(ConfigError) as caught:
        check("-m", "modle=x", "model=net,nett", "model.lmax=0,two,2", "model.lmx=1", "a=[")
    assert str(caught.value).splitlines() == [
        "5 problems in the configuration",
        "  a=[: not of the form key=value (no viable alternative at input '[')",
        "  model=nett: no such option, did you mean model=net?",
        "  modle: unknown key, did you mean model?",
        "  model.lmx: unknown key, did you mean model.lmax?",
        "  model.lmax: expected int, got 'two'  [in model.lmax=two]",
    ]


def test_a_key_that_only_one_option_has_is_checked_point_by_point(check: Check) -> None:
    with pytest.raises(ConfigError, match=r"model\.head\.width: unknown key.*\[in model=other\]"):
        check("-m", "model=net,other", "model.head.width=3")


def test_mistakes_in_yaml_files_are_found(project: Project, check: Check) -> None:
    project.yaml(
        "experiment/typo.yaml",
        "# @package _global_\nmodel: {lmx: 3}\nmodle: {}\nhydra: {mode: MULTIRUN, sweeper: {params: {seeed: '1,2'}}}\n",
    )
    with pytest.raises(ConfigError) as caught:
        check("+experiment=typo")
    assert str(caught.value).splitlines()[1:] == [
        "  seeed: unknown key, did you mean seed?",
        "  modle: unknown key, did you mean model?",
        "  model.lmx: unknown key, did you mean lmax?",
    ]


def test_what_hydra_alone_objects_to_is_one_sentence(project: Project, check: Check) -> None:
    project.yaml("experiment/bad.yaml", "# @package _global_\ndefaults:\n  - override /model: nett\n")
    with pytest.raises(ConfigError) as caught:
        check("+experiment=bad", "modle=x")
    assert "Could not find 'model/nett'" in str(caught.value)
    assert "search path" not in str(caught.value)
    project.yaml("experiment/bad.yaml", "# @package _global_\na: [\n")
    with pytest.raises(Exception, match="parsing"):  # __main__ makes a sentence of it
        check("+experiment=bad")


def test_an_experiment_sweeps_without_a_flag_and_values_take_their_precedence(check: Check) -> None:
    plan = check("+experiment=sweep", "model.cutoff=3.0")
    paths = [point.run.path for point in plan.points]
    assert paths == [Path(f"outputs/sweep/lmax_{lmax}") for lmax in range(3)]
    assert [point.config.model.lmax for point in plan.points] == [0, 1, 2]
    assert {point.config.model.cutoff for point in plan.points} == {3.0}
    assert [point.label for point in plan.points] == [f"model.lmax={lmax}" for lmax in range(3)]


def test_debug_has_the_last_word_wherever_it_stands(project: Project, check: Check) -> None:
    project.yaml("experiment/long.yaml", "# @package _global_\ntrainer: {max_steps: 1000}\n")
    for words in (("debug=fast", "+experiment=long"), ("+experiment=long", "debug=fast")):
        assert check(*words).points[0].config.trainer.max_steps == 2
    assert check("+experiment=long", "debug=null").points[0].config.trainer.max_steps == 1000


def test_flags_may_stand_between_overrides(check: Check) -> None:
    assert len(check("model.lmax=0,1", "-m", "seed=1,2").points) == 4


def test_a_folder_of_ones_own_is_searched_and_checked(check: Check, tmp_path: Path) -> None:
    own = tmp_path / "own" / "model"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# Mine.\n_target_: toys.Net\nlmax: 7\n")
    assert check("--config-dir", "own", "model=mine").points[0].config.model.lmax == 7
    assert check(f"hydra.searchpath=[{own.parent}]", "model=mine").points[0].config.model.lmax == 7
    with pytest.raises(ConfigError, match="model=mien: no such option, did you mean model=mine"):
        check("--config-dir", "own", "model=mien")
    with pytest.raises(ConfigError, match="not a folder"):
        check("--config-dir", "nowhere")


def test_default_directories_need_no_quotes(check: Check) -> None:
    plan = check("-m", "model.lmax=0,1", "+model.sizes=[1,2]", "name=x")
    names = [point.run.path.name for point in plan.points]
    assert names == ["model.sizes_1_2-model.lmax_0", "model.sizes_1_2-model.lmax_1"]


def test_the_hash_says_what_not_where_or_how(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def hashed(*words: str) -> str:
        return check("name=x", *words).points[0].frozen.hash

    reference = hashed("+dataset.store=${paths.data}/water")
    assert hashed("+dataset.store=${paths.data}/water", "plan=true", "paths.outputs=elsewhere") == reference
    assert hashed("+dataset.store=${paths.data}/water", "paths.data=/moved") == reference
    assert hashed("+dataset.store=${paths.data}/water", "report={_target_:toys.table}") == reference
    assert hashed("+dataset.store=${paths.data}/water", "seed=1") != reference


def test_the_time_in_a_name_is_the_same_in_every_composition(check: Check) -> None:
    assert check().points[0].run.path == check().points[0].run.path


class TestBuild:
    """Objects come from an allow-list only."""

    def test_runtime_objects_and_nested_nodes(self, project: Project) -> None:
        from toys import Head, Net, Statistics

        statistics = Statistics(2.0)
        head = {"_target_": "toys.Head", "width": 3}
        node = {"_target_": "toys.Net", "lmax": 1, "sizes": [1], "head": head}
        net = build.build(node, statistics=statistics)
        assert isinstance(net, Net)
        assert isinstance(net.head, Head)
        assert net.statistics is statistics
        assert type(net.sizes) is list

    def test_partial_and_containers(self, project: Project) -> None:
        make = build.build({"_target_": "toys.Head", "_partial_": True})
        assert make(width=5).width == 5
        (head,) = build.build([{"_target_": "toys.Head"}])
        assert head.width == 4
        assert build.build(None) is None

    @pytest.mark.parametrize(
        "target",
        [
            "os.system",
            "builtins.eval",
            "torch.load",
            "densitylabx.thing",
            "densitylab",
            "densitylab.build.importlib.import_module",
            "densitylab.record.subprocess.run",
            "densitylab.record.Path.cwd",
            "densitylab.build.resolve.__globals__.get",
            "densitylab.build._locate",
            "densitylab.config.OmegaConf.load",
            "densitylab..build",
            "",
            3,
        ],
    )
    def test_tricks_are_refused(self, target: object) -> None:
        with pytest.raises(ConfigError, match=r"refused|cannot be called|does not exist"):
            build.build({"_target_": target})
        with pytest.raises(ConfigError):
            build.build({"_target_": "densitylab.errors.did_you_mean", "word": [{"_target_": target}]})

    def test_nothing_outside_of_the_list_is_imported_or_called(self, tmp_path: Path) -> None:
        (tmp_path / "evil.py").write_text("print('imported')\n")
        code = (
            "from densitylab.build import build\n"
            "node = {'_target_': 'densitylab.errors.ConfigError', '_args_': [{'_target_': 'evil.run'}]}\n"
            "try: build(node)\n"
            "except ValueError as error: print(error)"
        )
        path = os.pathsep.join((str(ROOT / "src"), str(tmp_path)))
        environment = {**os.environ, "PYTHONPATH": path}
        out = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
        assert "evil.run is refused" in out
        assert "imported" not in out

    def test_a_broken_import_is_told_from_a_missing_one(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project.home / "needy.py").write_text("import does_not_exist_at_all\n")
        monkeypatch.syspath_prepend(project.home)
        monkeypatch.setattr(build, "ALLOWED", (*build.ALLOWED, "needy"))
        with pytest.raises(ConfigError, match=r"needy\.Thing cannot be imported: No module named 'does_not"):
            build.resolve("needy.Thing")


def test_folders_come_from_the_checkout_or_from_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.shipped("conf") == ROOT / "conf"
    installed = tmp_path / "site-packages" / "densitylab"
    monkeypatch.setattr(config, "__file__", str(installed / "config.py"))
    assert config.shipped("conf") == installed / "conf"


SHIPPED = {group: sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml")) for group in OPTIONS}


@pytest.mark.parametrize("words", [f"{key}={name}" for group, key in OPTIONS.items() for name in SHIPPED[group]])
def test_what_is_shipped_is_valid(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSITYLAB_CONF", str(ROOT / "conf"))
    args = parse([words, *NEEDS.get(words, [])])
    with open_hydra(args) as hydra:
        plan = preflight(hydra, args.overrides, args.multirun)
    assert plan.multirun == (len(plan.points) > 1)


def test_every_yaml_opens_with_what_it_is_for() -> None:
    files = sorted((ROOT / "conf").glob("**/*.yaml"))
    assert not [file for file in files if not config.describe(file)]
    for file in files:  # above that line, Hydra does not see it
        lines = file.read_text().splitlines()
        assert not any(line.startswith("# @package") for line in lines[1:])
