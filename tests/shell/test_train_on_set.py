"""train_on_set.sh as users call it, on made x-vectors: labels get better, reruns, odd sets, bad input."""

import json
from dataclasses import replace

import numpy as np
import pytest
from running import DIAR, run_script

from ssdiar.clustering.config import Preparation, SystemConfig
from ssdiar.clustering.neighbours import common_whitening, neighbour_whitening
from ssdiar.clustering.vectors import length_normalise
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.tables import Segment, write_segments

DIMENSION, PIECES, RECORDINGS = 32, 60, 8
TIMES = np.column_stack([np.arange(PIECES) * 0.75, np.arange(PIECES) * 0.75 + 0.75])


def recording(seed):
    """Return vectors (PIECES, DIMENSION) of two speakers in turns of three pieces, loud noise in a few axes, the truth.

    The axes of the noise are the same in all recordings, the voices are not.
    """
    rng = np.random.default_rng(seed)
    truth = np.arange(PIECES) // 3 % 2
    noise = 5 * rng.standard_normal((PIECES, 4)) @ np.random.default_rng(99).standard_normal((4, DIMENSION)) / 4
    voices = rng.standard_normal((2, DIMENSION))
    return voices[truth] + noise + 1.5 * rng.standard_normal((PIECES, DIMENSION)), truth


def wrong_labels(truth, seed):
    """Return labels from 1, a fifth of which are wrong."""
    return 1 + np.where(np.random.default_rng(seed).random(len(truth)) < 0.2, 1 - truth, truth)


@pytest.fixture
def work(tmp_path):
    """A folder with x-vectors of eight recordings and labels of them that are wrong in places."""
    root = tmp_path / "qui è là"
    (root / "x vectors").mkdir(parents=True)
    (root / "first").mkdir()
    segments, places, labels = [], {}, []
    for number in range(RECORDINGS):
        vectors, truth = recording(number)
        ids = [f"r{number}-{piece:03d}" for piece in range(PIECES)]
        segments += [
            Segment(key, f"r{number}", 0.75 * piece + piece // 3, 0.75 * piece + piece // 3 + 0.75)
            for piece, key in enumerate(ids)
        ]
        ark = root / "x vectors" / f"xvector.r{number}.ark"
        places |= {key: (ark, at) for key, at in write_xvectors(ark, dict(zip(ids, vectors, strict=True))).items()}
        labels += [f"{key} {label}\n" for key, label in zip(ids, wrong_labels(truth, number), strict=True)]
    write_segments(root / "x vectors", segments)
    write_xvector_scp(root / "x vectors" / "xvector.scp", places)
    (root / "first/labels").write_text("".join(labels))
    (root / "first/meta.json").write_text(json.dumps({"system": "best", "second_sure": [0.9, 0.7]}))
    return root


def run(work, *args, rc=0):
    return run_script(DIAR / "train_on_set.sh", *args, "x vectors", "first", "out", cwd=work, rc=rc)


def errors(file):
    """Return the share of labels that are wrong under the best naming of each recording's two speakers."""
    rows = dict(line.split() for line in file.read_text().splitlines())
    truth = np.arange(PIECES) // 3 % 2
    wrong = []
    for number in range(RECORDINGS):
        found = np.array([int(rows[f"r{number}-{piece:03d}"]) - 1 for piece in range(PIECES)])
        wrong.append(min((found != truth).mean(), (found == truth).mean()))
    return np.mean(wrong)


def test_labels_get_better_and_a_rerun_does_nothing(work, need_module):
    need_module("tensorflow")
    assert errors(work / "first/labels") > 0.15
    assert "trained on 8 recordings" in run(work).stderr
    assert errors(work / "out/labels") < 0.08
    meta = json.loads((work / "out/meta.json").read_text())
    assert meta["system"] == "best_trained" and "second_sure" not in meta
    assert "up to date" in run(work).stderr


def test_labels_of_other_pieces_are_refused_before_anything_is_written(work):
    (work / "first/labels").write_text("r0-000 1\n")
    done = run(work, rc=1)
    assert "labels" in done.stderr and "r0-001" in done.stderr
    assert not (work / "out").exists()


@pytest.fixture
def lessons(need_module):
    """Return three recordings to train on, as the library takes them, and the module that trains."""
    need_module("tensorflow")
    from ssdiar.clustering import set_training

    made = []
    for number in range(3):
        vectors, truth = recording(number)
        made.append(set_training.Lesson(vectors, TIMES, wrong_labels(truth, number) - 1))
    return made, set_training


def test_the_order_of_recordings_does_not_matter_and_training_lowers_the_loss(lessons):
    made, training = lessons
    there, back = training.train_map(made, 200), training.train_map(made[::-1], 200)
    np.testing.assert_array_equal(there.matrix, back.matrix)
    assert np.mean(there.losses[-20:]) < 0.9 * np.mean(there.losses[:20]) and there.recordings == 3
    config = SystemConfig("", "consensus", Preparation(centre="none"))
    for way in (training.move_labels, training.vote_anew):
        labels = way(made[0], there.matrix, config)
        assert labels[0] == 0 and set(labels) == {0, 1}


def test_without_two_speakers_there_is_nothing_to_learn(lessons):
    made, training = lessons
    alone = [replace(lesson, labels=np.zeros(PIECES, int)) for lesson in made]
    trained = training.train_map(alone, 5)
    assert trained.recordings == 0 and not trained.losses and np.isfinite(trained.matrix).all()


def test_a_label_without_trust_is_not_learnt_from(lessons):
    made, training = lessons
    truth = np.arange(PIECES) // 3 % 2
    trusted = [replace(lesson, trust=(lesson.labels == truth).astype(float)) for lesson in made]
    cleaned = [replace(lesson, labels=truth, trust=lesson.trust) for lesson in trusted]
    np.testing.assert_allclose(
        training.train_map(trusted, 3).matrix, training.train_map(cleaned, 3).matrix, rtol=1e-3, atol=1e-4
    )


def test_whitening_by_several_recordings_is_that_of_one_where_there_is_one():
    unit = length_normalise(recording(0)[0])
    np.testing.assert_allclose(common_whitening([(unit, TIMES)], 0.9), neighbour_whitening(unit, TIMES, 0.9))
