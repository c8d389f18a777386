import csv
import json
from functools import partial

import pytest
from pytorch_lightning.loggers import WandbLogger

from densitylab.evaluation.metrics import metric
from densitylab.report import learning_curve
from densitylab.report.collect import collect


def write_run(folder, lmax, size, status="finished", groups=("6", "all"), seed=0):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"seed: {seed}\nmodel: {{lmax: {lmax}}}\ndataset: {{train_size: {size}}}\n")
    if status is None:
        return
    network = 10.0 / (6 if size == "null" else size) / (lmax + 1) + 0.1 * seed
    values = {"epsilon_floor": 0.25, "epsilon_network": network, "epsilon_total": network + 0.1}
    metrics = [metric(name, value, "%", "test", group) for group in groups for name, value in values.items()]
    results = {"status": status, "error": "the disk is full" if status == "failed" else None, "metrics": metrics}
    (folder / "results.json").write_text(json.dumps(results))


@pytest.fixture
def sweep(tmp_path):
    for lmax in (0, 1):
        for size in (24, 6):
            write_run(tmp_path / f"lmax_{lmax}-train_{size}", lmax, size)
    return tmp_path


def test_table_and_figure(sweep, capsys):
    rows = learning_curve(sweep, x="dataset.train_size", line="model.lmax")
    assert [(row.group, row.line, row.x) for row in rows][:4] == [
        ("6", "lmax = 0", 6),
        ("6", "lmax = 0", 24),
        ("6", "lmax = 1", 6),
        ("6", "lmax = 1", 24),
    ]
    printed = capsys.readouterr().out
    for word in ("floor ε / %", "network ε / %", "total ε / %", "dataset.train_size", "0.833"):
        assert word in printed
    with (sweep / "learning_curve.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4  # "all" of a single group is that group
    assert float(table[0]["network ε / %"]) == pytest.approx(10 / 6)  # all digits, not those that are printed
    assert (sweep / "learning_curve.md").read_text().count("\n") == 6
    assert (sweep / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in (sweep / "learning_curve.svg").read_text()


def test_what_did_not_finish_is_listed_with_its_reason(sweep, capsys):
    write_run(sweep / "lmax_2-train_6", 2, 6, status="failed")
    write_run(sweep / "lmax_2-train_24", 2, 24, status=None)
    rows = learning_curve(sweep, x="dataset.train_size", line="model.lmax")
    printed = capsys.readouterr().out
    assert len(rows) == 4
    assert "lmax_2-train_6: failed: the disk is full" in printed
    assert "lmax_2-train_24: interrupted: no result yet" in printed


def test_a_sweep_without_results_says_so(tmp_path, capsys):
    write_run(tmp_path / "only", 0, 6, status=None)
    assert learning_curve(tmp_path, x="dataset.train_size", line="model.lmax") == []
    assert "only: interrupted" in capsys.readouterr().out


def test_several_groups_and_all_of_them(tmp_path):
    write_run(tmp_path / "run", 0, 6, groups=("4", "6", "all"))
    rows = learning_curve(tmp_path, x="dataset.train_size", line="model.lmax")
    assert [row.group for row in rows] == ["4", "6", "all"]


def test_all_training_structures_stand_last(tmp_path):
    """``train_size: null`` means all; it sorts behind the numbers."""
    write_run(tmp_path / "all", 0, "null")
    write_run(tmp_path / "six", 0, 6)
    assert [row.x for row in collect(tmp_path, "dataset.train_size", ["model.lmax"])[0]] == [6, None]


def test_seeds_are_averaged_with_their_spread(tmp_path, capsys):
    for seed in (0, 1, 2):
        write_run(tmp_path / f"seed_{seed}", 0, 10, seed=seed)
    write_run(tmp_path / "other", 0, 20)
    three, one = learning_curve(tmp_path, x="dataset.train_size", line="model.lmax")
    assert (three.seeds, one.seeds) == (3, 1)
    assert three.network == pytest.approx(1.1)  # 1.0, 1.1, 1.2
    assert three.network_spread == pytest.approx(0.1)  # sample standard deviation
    assert one.network_spread == 0.0
    assert "± network / %" in capsys.readouterr().out


def test_published_points_are_drawn_as_such(sweep):
    published = {"somebody 2023": [100, 0.44]}
    learning_curve(sweep, x="dataset.train_size", line="model.lmax", published=published)
    assert "somebody 2023" in (sweep / "learning_curve.svg").read_text()


def test_all_available_structures_are_counted(tmp_path):
    write_run(tmp_path / "all", 0, "null")
    (tmp_path / "all" / "split.json").write_text(json.dumps({"train": ["a", "b", "c"]}))
    rows, _ = collect(tmp_path, "dataset.train_size", ["model.lmax"])
    assert {row.x for row in rows} == {3}


def test_wandb_gets_table_and_figure(sweep):
    """Offline W&B for real: the run lies in the folder of the sweep, in its group."""
    logger = {"wandb": partial(WandbLogger, project="densitylab-tests", offline=True)}
    learning_curve(sweep, x="dataset.train_size", line="model.lmax", logger=logger)
    (run,) = (sweep / "wandb").glob("offline-run-*")
    assert list(run.glob("files/media/table/*.json"))
    assert list(run.glob("files/media/images/*.png"))
