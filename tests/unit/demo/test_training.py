"""The demo's story stands on what its models get wrong: it is measured here."""

from pathlib import Path

import joblib
import numpy as np
import pytest

from examples.demo import training


@pytest.mark.parametrize(
    ("version", "low", "high"),
    [
        pytest.param("v1", 0.03, 0.05, id="v1 is usable"),
        pytest.param("v2", 0.005, 0.02, id="v2 is better"),
        pytest.param("v3", 0.09, 0.16, id="v3 is wrong, and not absurdly so"),
        pytest.param("v4", 0.005, 0.02, id="v4 is as good as v2 while it lives"),
    ],
)
def test_each_version_is_wrong_as_often_as_the_story_says(
    version: str, low: float, high: float
) -> None:
    assert low < training.wrong_share(training.train(version)) < high


def test_v1b_is_an_exact_copy_of_v1() -> None:
    images = training.data().held_out_images
    v1, v1b = (training.train(version).predict(images) for version in ("v1", "v1b"))
    assert np.array_equal(v1, v1b)


def test_training_twice_gives_the_same_answers() -> None:
    images = training.data().held_out_images
    once, again = (training.train("v2").predict(images) for _ in range(2))
    assert np.array_equal(once, again)


def test_held_out_images_are_not_in_the_training_half() -> None:
    rows = training.data()
    trained = {image.tobytes() for image in rows.training_images}
    shared = [image for image in rows.held_out_images if image.tobytes() in trained]
    assert not shared


def test_v3_is_wrong_only_by_its_servers_preprocessing() -> None:
    images = training.data().held_out_images
    v2, v3 = training.train("v2"), training.train("v3")
    prepared = training.scaled(images)
    assert np.array_equal(v2.classifier.predict(prepared), v3.classifier.predict(prepared))


def test_a_saved_model_answers_as_before(tmp_path: Path) -> None:
    model = training.train("v1")
    joblib.dump(model, tmp_path / "model.joblib")
    images = training.data().held_out_images[:20]
    loaded = training.load(tmp_path / "model.joblib")
    assert np.array_equal(loaded.predict(images), model.predict(images))


def test_a_file_that_holds_no_model_is_refused_by_name(tmp_path: Path) -> None:
    joblib.dump([1, 2], tmp_path / "model.joblib")
    with pytest.raises(TypeError, match=r"expected a saved Model in .*model\.joblib, saw list"):
        training.load(tmp_path / "model.joblib")
