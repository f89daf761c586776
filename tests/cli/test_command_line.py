"""The command line: what it prints and writes, its exit codes, and its messages."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.cli.line import main

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Sleepstudy in every format, and a table with several responses and groups."""
    folder = tmp_path_factory.mktemp("command_line")
    sleep = ranef.datasets.load("sleepstudy")
    sleep.to_parquet(folder / "sleep.parquet")
    sleep.to_csv(folder / "sleep.csv", index=False)
    sleep.to_feather(folder / "sleep.feather")
    ranef.datasets.load("cake").to_parquet(folder / "cake.parquet")
    rng = np.random.default_rng(4)
    many = sleep.assign(**{f"gene_{i}": rng.normal(size=180) for i in range(5)}, flat=1.0)
    many.to_parquet(folder / "many.parquet")
    return folder


def run(*arguments, **options):
    """Run the program itself."""
    command = [sys.executable, "-m", "ranef", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


# ------------------------------------------------------------------ the program


def test_the_program_prints_a_summary_and_logs_json(place):
    done = run("fit", FORMULA, place / "sleep.parquet", "--log", "json")
    assert done.returncode == 0
    model = ranef.lmer(FORMULA, ranef.datasets.load("sleepstudy"))
    assert done.stdout == f"{model.summary()}\n"
    log = lines(done.stderr)
    assert [line["event"] for line in log] == ["start", "read", "fit", "done"]
    assert log[2]["llf"] == model.llf
    assert all({"time", "level", "event"} <= set(line) for line in log)


def test_an_error_is_one_line_and_a_code(place):
    done = run("fit", "Reaction ~ Dys + (1 | Subject)", place / "sleep.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ranef: error: the data have no column 'Dys'; did you mean 'Days'?\n"
    assert run("fit", FORMULA).returncode == 2
    help_ = run("batch", "--help")
    assert help_.returncode == 0
    assert "exit codes:" in help_.stdout


def test_an_interrupt_has_its_own_code(place, capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("ranef.cli.run.lmer", interrupted)
    assert main(["fit", FORMULA, str(place / "sleep.csv")]) == 130
    assert capsys.readouterr().err == "ranef: error: interrupted\n"


# ------------------------------------------------------------------ fit


@pytest.mark.parametrize("ending", ["parquet", "csv", "feather"])
@pytest.mark.parametrize("stream", [[], ["--stream"], ["--stream", "--workers", "2"]])
def test_fit_gives_json(place, capsys, ending, stream):
    path = str(place / f"sleep.{ending}")
    assert main(["fit", FORMULA, path, "--ml", "--json", *stream]) == 0
    found = json.loads(capsys.readouterr().out)
    model = ranef.lmer(FORMULA, ranef.datasets.load("sleepstudy"), reml=False)
    assert found["reml"] is False
    assert found["llf"] == pytest.approx(model.llf, rel=1e-12)
    assert found["fixed"][1]["term"] == "Days"
    assert found["fixed"][1]["estimate"] == pytest.approx(model.params["Days"], rel=1e-8)
    assert found["groups"] == {"Subject": 18}


@pytest.mark.parametrize("ending", ["parquet", "csv", "feather", "json"])
def test_fit_writes_its_estimates(place, tmp_path, capsys, ending):
    out = tmp_path / f"fit.{ending}"
    arguments = ["fit", FORMULA, str(place / "sleep.csv"), "--ddf", "kenward-roger"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    if ending == "json":
        table = pd.DataFrame(json.loads(out.read_text()))
    else:
        table = getattr(pd, f"read_{ending}")(out)
    model = ranef.lmer(FORMULA, ranef.datasets.load("sleepstudy"))
    expected = model.coef_table(ddf="kenward-roger")
    np.testing.assert_allclose(table["std.error"][:2], expected["se"])
    np.testing.assert_allclose(table["p.value"][:2], expected["pvalue"])
    assert table["estimate"].iloc[-1] == pytest.approx(model.sigma)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_fit_by_groups(place, tmp_path, capsys):
    out = tmp_path / "groups.parquet"
    formula = "angle ~ temp + (1 | replicate)"
    arguments = ["fit", formula, str(place / "cake.parquet"), "--by", "recipe", "--log", "json"]
    assert main([*arguments, "--tests", "temp = 0.1", "--out", str(out)]) == 0
    cake = ranef.datasets.load("cake")
    expected = ranef.fit_groups(formula, cake, "recipe", tests=["temp = 0.1"], progress=False)
    table = pd.read_parquet(out)
    np.testing.assert_array_equal(table["pvalue"], expected.table["pvalue"])
    assert (table["status"] == "converged").all()
    assert lines(capsys.readouterr().err)[-3]["status"] == {"converged": 3}


def test_a_fit_that_does_not_converge_has_its_own_code(place, capsys, monkeypatch):
    monkeypatch.setattr(
        "ranef.cli.run.lmer",
        lambda formula, data, **options: ranef.lmer(
            formula, data, control=ranef.Control(max_steps=1), **{k: options[k] for k in ("reml",)}
        ),
    )
    assert main(["fit", FORMULA, str(place / "sleep.csv"), "--json"]) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["converged"] is False
    assert shown.err.startswith("ranef: warning: ")


# ------------------------------------------------------------------ batch


def test_batch_fits_columns_that_match(place, tmp_path, capsys):
    out = tmp_path / "batch.csv"
    formula = "~ Days + (1 | Subject)"
    arguments = ["batch", formula, str(place / "many.parquet"), "--out", str(out)]
    assert main([*arguments, "--responses", "gene_?,Reaction"]) == 0
    data = pd.read_parquet(place / "many.parquet")
    names = [*(f"gene_{i}" for i in range(5)), "Reaction"]
    expected = ranef.fit_many(formula, data, names, progress=False).table
    table = pd.read_csv(out)
    assert table["response"].tolist() == expected["response"].tolist()
    np.testing.assert_allclose(table["estimate"], expected["estimate"])
    assert main([*arguments, "--responses", "flat,gene_0", "--log", "none"]) == 3
    assert pd.read_csv(out)["status"].unique().tolist() == ["explained", "converged"]
    assert capsys.readouterr().err == ""


# ------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fit", "Reaction ~ (1 | Subject", "sleep.csv"], 1, "(character 12 of the formula)"),
        (["fit", FORMULA, "none.parquet"], 1, "there is no file"),
        (["fit", FORMULA, "broken.parquet"], 1, "broken.parquet"),
        (["fit", FORMULA, "sleep.csv", "--out", "fit.txt"], 2, "must end in .parquet"),
        (["fit", FORMULA, "sleep.csv", "--out", "no/fit.csv"], 1, "is not there"),
        (["fit", FORMULA, "sleep.csv", "--tests", "Days = 0"], 2, "--tests goes with --by"),
        (["fit", FORMULA, "sleep.csv", "--workers", "2"], 2, "--workers goes with"),
        (["fit", FORMULA, "sleep.csv", "--workers", "0"], 2, "0 is not a positive integer"),
        (["fit", FORMULA, "sleep.csv", "--ml", "--reml"], 2, "not allowed with"),
        (["fit", FORMULA, "sleep.csv", "--weights", "w"], 1, "no column 'w'"),
        (["fit", "Reaction ~ days", "sleep.csv"], 1, "'days'; did you mean 'Days'?"),
        (["fit", "Reaction ~ zzz", "sleep.csv"], 1, "no column 'zzz'\n"),
        (["glmer", "Reaction ~ days", "sleep.csv", "--family", "gamma"], 1, "did you mean 'Days'?"),
        (["batch", "~ 1 + (1 | Subject)", "sleep.csv", "--responses", "z*"], 1, "matches 'z*'"),
        (["batch", "~ Days", "sleep.csv"], 2, "--responses"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(place, capsys, monkeypatch, arguments, code, message):
    monkeypatch.chdir(place)
    whole = (place / "sleep.parquet").read_bytes()
    (place / "broken.parquet").write_bytes(whole[: len(whole) // 2])
    try:
        found = main(arguments)
    except SystemExit as error:
        found = error.code
    told = capsys.readouterr().err
    assert (found, message in told) == (code, True), told
    if code == 1:
        assert told.startswith("ranef: error: ")
        assert told.count("\n") == 1


# ------------------------------------------------------------------ other models, files, folders


def test_the_version(place):
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"ranef {ranef.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "fit"),
    [
        (
            ["glmer", "n ~ Days + (1 | Subject)", "--family", "poisson"],
            lambda d: ranef.glmer("n ~ Days + (1 | Subject)", d, family="poisson"),
        ),
        (
            ["gls", "Reaction ~ Days", "--groups", "Subject", "--time", "Days", "--corr", "ar1"],
            lambda d: ranef.gls("Reaction ~ Days", d, groups="Subject", time="Days", corr="ar1"),
        ),
        (
            ["feols", "Reaction ~ Days", "--absorb", "Subject", "--cluster", "Subject"],
            lambda d: ranef.feols("Reaction ~ Days", d, absorb="Subject", cluster="Subject"),
        ),
        (
            ["feglm", "n ~ Days", "--family", "poisson", "--absorb", "Subject"],
            lambda d: ranef.feglm("n ~ Days", d, family="poisson", absorb="Subject"),
        ),
    ],
)
def test_models_of_other_kinds(place, tmp_path, capsys, arguments, fit):
    sleep = ranef.datasets.load("sleepstudy").assign(n=lambda d: (d["Reaction"] / 20).round())
    sleep.to_parquet(tmp_path / "sleep.parquet")
    name, formula, *options = arguments
    line = [name, formula, str(tmp_path / "sleep.parquet"), *options]
    model = fit(sleep)
    assert main(line) == 0
    assert capsys.readouterr().out == f"{model.summary()}\n"
    assert main([*line, "--json", "--log", "json"]) == 0
    out, log = capsys.readouterr()
    found = json.loads(out)
    assert found["llf"] == pytest.approx(model.llf)
    assert [row["term"] for row in found["fixed"]] == list(model.params.index)
    terms = found["terms"]
    assert terms[0]["estimate"] == pytest.approx(model.params.iloc[0], rel=1e-8)
    assert [line["event"] for line in lines(log)] == ["start", "read", "fit", "done"]
    assert main([*line, "--out", str(tmp_path / "fit.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "fit.csv")) == len(terms)


def test_responses_of_other_files_go_into_a_folder_and_on(place, tmp_path, capsys):
    rng = np.random.default_rng(2)
    genes = pd.DataFrame(rng.normal(size=(180, 40)), columns=[f"g{i}" for i in range(40)])
    genes.to_parquet(tmp_path / "genes.parquet")
    source, folder = str(tmp_path / "genes.parquet"), str(tmp_path / "out")
    line = ["batch", "~ Days + (1 | Subject)", str(place / "sleep.parquet"), "--from", source]
    assert main([*line, "--out", folder, "--log", "json"]) == 0
    events = lines(capsys.readouterr().err)
    assert events[-3]["status"] == {"converged": 40}
    assert [e["kept"] for e in events if e["event"] == "fits"] == [0]
    assert main([*line, "--out", folder]) == 0  # nothing is fitted again
    assert "all 40 fits were there already; nothing was fitted" in capsys.readouterr().out
    assert main([*line, "--out", folder, "--log", "json"]) == 0
    events = lines(capsys.readouterr().err)
    assert [e["kept"] for e in events if e["event"] == "fits"] == [40]
    whole = ranef.fit_many(
        "~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"), genes, progress=False
    )
    stored = pd.concat(pd.read_parquet(part) for part in sorted((tmp_path / "out/table").iterdir()))
    np.testing.assert_allclose(stored["estimate"], whole.table["estimate"], rtol=1e-10)
    capsys.readouterr()
    assert main([*line, "--responses", "g1?,g3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["response"] for row in found} == {*(f"g{i}" for i in range(10, 20)), "g3"}
    nowhere = [*line[:-1], "nowhere/*.parquet"]
    assert main([*nowhere, "--out", folder]) == 1
    assert "--from: no file is called or matches 'nowhere/*.parquet'" in capsys.readouterr().err
    assert main([*line, "--responses", "h*"]) == 1
    assert "no column is called or matches 'h*'" in capsys.readouterr().err


def test_a_folder_that_another_process_holds_says_which(place, tmp_path, capsys):
    from ranef.parallel.writing import Lock

    folder = tmp_path / "out"
    folder.mkdir()
    lock = Lock(str(folder))
    line = ["batch", "~ Days + (1 | Subject)", str(place / "many.parquet"), "--out", str(folder)]
    done = run(*line, "--responses", "gene_*")
    lock.release()
    assert done.returncode == 1
    assert "process" in done.stderr


def test_a_long_run_tells_how_far_it_is(place, monkeypatch, capsys):
    import ranef.parallel.progress as progress

    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    line = ["batch", "~ Days + (1 | Subject)", str(place / "many.parquet"), "--out", "x.csv"]
    monkeypatch.chdir(place)
    assert main([*line, "--responses", "gene_*", "--log", "json"]) == 0
    told = [one for one in lines(capsys.readouterr().err) if one["event"] == "progress"]
    assert told[-1]["done"] == 5
    assert told[-1]["unit"] == "fits"


def test_what_does_not_go_together_is_said(place):
    for wrong in (
        ["batch", "~ x + (1 | g)", "a.csv"],
        ["batch", "~ x + (1 | g)", "a.csv", "--responses", "y", "--out", "folder", "--json"],
        ["fit", "y ~ x + (1 | g)", "a.csv", "--out", "folder"],
        ["glmer", "y ~ x + (1 | g)", "a.csv"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(wrong)
        assert caught.value.code == 2


def test_fits_that_do_not_converge_are_named(place, tmp_path, capsys):
    rng = np.random.default_rng(2)
    genes = pd.DataFrame({"varies": rng.normal(size=180), "constant": 1.0})
    genes.to_parquet(tmp_path / "genes.parquet")
    line = ["batch", "~ Days + (1 | Subject)", str(place / "sleep.parquet"), "--json"]
    assert main([*line, "--from", str(tmp_path / "genes.parquet"), "--log", "json"]) == 3
    told = [e for e in lines(capsys.readouterr().err) if e["event"] == "not converged"]
    assert [(e["response"], e["status"]) for e in told] == [("constant", "explained")]


def test_counts_are_fitted_in_batches(tmp_path, capsys):
    rng = np.random.default_rng(3)
    cells = pd.DataFrame({"donor": np.repeat(np.arange(8), 10), "case": np.tile([0, 1], 40)})
    cells["depth"], cells["half"] = rng.uniform(0.5, 2.0, 80), np.tile([1, 1, 2, 2], 20)
    genes = pd.DataFrame(rng.poisson(4.0, (80, 3)), columns=["a", "b", "c"])
    pd.concat([cells, genes], axis=1).to_csv(tmp_path / "all.csv", index=False)
    file, out = str(tmp_path / "all.csv"), str(tmp_path / "out.csv")
    line = ["batch", "~ case + (1 | donor)", file, "--responses", "a,b,c", "--out", out]
    assert main([*line, "--family", "poisson", "--size-factors", "depth"]) in (0, 3)
    whole = ranef.fit_many(
        "~ case + (1 | donor)", cells, genes, family="poisson", size_factors="depth", progress=False
    )
    np.testing.assert_allclose(pd.read_csv(out)["estimate"], whole.table["estimate"], rtol=1e-9)
    line = ["fit", "a ~ case + (1 | donor)", file, "--by", "half", "--out", out]
    assert main([*line, "--family", "poisson"]) in (0, 3)
    groups = ranef.fit_groups(
        "a ~ case + (1 | donor)", cells.assign(a=genes["a"]), "half", family="poisson"
    )
    np.testing.assert_allclose(pd.read_csv(out)["estimate"], groups.table["estimate"], rtol=1e-9)
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "a ~ case + (1 | donor)", file, "--family", "poisson"])
    assert "glmer fits one model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "answer"),
    [
        (["--output", "x.csv"], "no option --output; use --out"),
        (["--format=json"], "use --json"),
        (["--threads", "4"], "use --workers N"),
        (["--resume"], "the same command"),
        (["--worker", "2"], "did you mean '--workers'"),
        (["sleep.csv"], r"quotes, as in --from 'genes/\*\.parquet'"),
        (["(1", "|", "g)"], "quote a formula"),
    ],
)
def test_options_of_other_programs_are_answered(place, monkeypatch, capsys, extra, answer):
    monkeypatch.chdir(place)
    line = ["fit", "Reaction ~ Days + (1 | Subject)", "sleep.parquet", *extra]
    ranef.datasets.load("sleepstudy").to_csv("sleep.csv")
    with pytest.raises(SystemExit, match="2"):
        main(line)
    assert re.search(answer, capsys.readouterr().err)


def test_lmer_is_another_name_of_fit_and_files_are_not_columns(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["lmer", "Reaction ~ Days + (1 | Subject)", "sleep.parquet"]) == 0
    assert "Linear mixed model" in capsys.readouterr().out
    line = ["batch", "~ Days + (1 | Subject)", "sleep.parquet", "--responses", "sleep.parquet"]
    assert main(line) == 1
    assert "files of responses are named by --from" in capsys.readouterr().err
