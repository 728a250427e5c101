"""The models of the demo, trained on the handwritten digits that scikit-learn ships.

1,797 images of 8 x 8 pixels; half of them train the models, the other half is never seen in
training and plays the users. Training is deterministic and takes under a second.

Each version is an honest piece of work but the third, whose server centres the digits before it
asks the model, which the training never did. Nothing about it looks wrong from outside: it is as
fast as the others and answers every request with 200.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

Images = NDArray[np.float64]
"""Shape (n, 64): pixels row by row, from 0 (white) to 16 (black)."""
Digits = NDArray[np.int64]
"""Shape (n,): the digit in each image."""

PIXELS: Final = 64
_SPLIT_SEED: Final = 7


class Classifier(Protocol):
    """What scikit-learn's classifiers have in common, as far as it is needed here."""

    def fit(self, images: Images, digits: Digits) -> object:
        """Learn."""

    def predict(self, images: Images) -> Digits:
        """Answer."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one version comes about.

    Attributes:
        summary: what it is, in a few words.
        classifier: makes the untrained classifier.
        prepare_training: what is done to the images before training.
        prepare_serving: what the server does to them before it asks the model; the same, if
            nobody made a mistake.
    """

    summary: str
    classifier: Callable[[], Classifier]
    prepare_training: Callable[[Images], Images]
    prepare_serving: Callable[[Images], Images]


@dataclass(frozen=True, slots=True)
class Model:
    """A trained version, as it is saved and served."""

    version: str
    classifier: Classifier

    def predict(self, images: Images) -> Digits:
        """The digit in each image; shapes (n, 64) -> (n,)."""
        return self.classifier.predict(RECIPES[self.version].prepare_serving(images))


@dataclass(frozen=True, slots=True)
class Data:
    """The images, split once and for all."""

    training_images: Images
    training_digits: Digits
    held_out_images: Images
    held_out_digits: Digits


def scaled(images: Images) -> Images:
    """Pixels from 0 to 1."""
    return images / 16


def centred(images: Images) -> Images:
    """Pixels from 0 to 1, each digit shifted so that its centre of mass is the image's centre."""
    return np.stack([_centred_one(image.reshape(8, 8)).ravel() for image in images]) / 16


def _centred_one(image: Images) -> Images:
    ink = max(float(image.sum()), 1e-9)
    rows = float(image.sum(axis=1) @ np.arange(8)) / ink
    columns = float(image.sum(axis=0) @ np.arange(8)) / ink
    return np.roll(image, (round(3.5 - rows), round(3.5 - columns)), axis=(0, 1))


def _simple() -> Classifier:
    simple: Classifier = LogisticRegression(max_iter=1000)
    return simple


def _better() -> Classifier:
    better: Classifier = SVC()
    return better


RECIPES: Final[Mapping[str, Recipe]] = {
    "v1": Recipe("logistic regression", _simple, scaled, scaled),
    "v1b": Recipe("an exact copy of v1", _simple, scaled, scaled),
    "v2": Recipe("support vector machine", _better, scaled, scaled),
    "v3": Recipe("as v2, but its server centres the digits", _better, scaled, centred),
    "v4": Recipe("as v2, but its server leaks memory", _better, scaled, scaled),
}


@cache
def data() -> Data:
    """The data set, split in half, with every digit equally frequent in both halves."""
    images, digits = load_digits(return_X_y=True)
    train_images, held_images, train_digits, held_digits = train_test_split(
        images, digits, test_size=0.5, random_state=_SPLIT_SEED, stratify=digits
    )
    return Data(train_images, train_digits, held_images, held_digits)


def train(version: str) -> Model:
    """Train one version; the same model each time.

    Raises:
        KeyError: for a version without a recipe.
    """
    recipe = RECIPES[version]
    classifier = recipe.classifier()
    rows = data()
    classifier.fit(recipe.prepare_training(rows.training_images), rows.training_digits)
    return Model(version, classifier)


def wrong_share(model: Model) -> float:
    """Share of the held-out images that the model, as served, gets wrong."""
    rows = data()
    return float((model.predict(rows.held_out_images) != rows.held_out_digits).mean())


def load(path: Path) -> Model:
    """A model that was saved with joblib.

    Raises:
        TypeError: when the file holds something else.
    """
    model = joblib.load(path)
    if not isinstance(model, Model):
        raise TypeError(f"expected a saved Model in {path}, saw {type(model).__name__}")
    return model
