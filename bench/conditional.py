"""How well a conditional run separates class and style: python -m bench.conditional RUN [--data_dir DIR] [--num N]

A classifier that was trained on the true labels of the dataset, and that the run never saw, judges its images. Codes
hold style alone if no network finds the class in them.
"""

import argparse
import json
import sys
import warnings

import numpy as np

import glo
from glo.run import Run
from glo.runtime import errors, log
from glo.runtime.errors import UserError

TRAINED, TESTED = 40_000, 10_000  # learned codes on which a network is trained to find the class, and is tested
HIDDEN = 128  # units of the network with one hidden layer
EPOCHS = 30


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.conditional", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder or RUN/model-STEP")
    parser.add_argument("--data_dir", help="folder of all datasets (default: as in training)")
    parser.add_argument("--num", type=int, default=1000, help="held-out images (default 1000)")
    settings = parser.parse_args(argv)
    log.setup()
    run = glo.load(settings.run, settings.data_dir)
    if run.settings.conditional != "label" or not run.dataset:
        raise UserError(f"{settings.run} must be a run with --conditional label, with its dataset in --data_dir")
    print(json.dumps(measure(run, settings.num), indent=1))


def measure(run: Run, num: int) -> dict[str, float | int]:
    """Shares in [0, 1] and PSNR in dB. Codes of `num` held-out images are fitted under their own class."""
    from glo.features.classifier import Classifier

    dataset, loss = run.dataset, run.loss
    rows = np.sort(np.random.default_rng(0).permutation(dataset.test_rows)[:num])
    images, labels, conditions = dataset.images[rows], dataset.labels[rows], dataset.conditions[rows]
    classifier = Classifier(dataset)
    fit = run.fitter.fit(images, conditions=conditions)
    reconstructed = run.decoder.images(fit.codes, conditions)
    swapped = run.class_sweep(fit.codes, labels)
    targets = np.broadcast_to(run.conditions.numbers, swapped.shape[:2])
    other = targets != labels[:, None]
    predicted = classifier.predict(swapped.reshape(-1, *run.image_shape)).reshape(targets.shape)
    logistic, network, network_held_out = _class_in_codes(run, fit.codes, labels)
    return {
        "images": len(rows),
        "classifier_accuracy": classifier.score,
        "reconstructions_of_own_class": float(np.mean(classifier.predict(reconstructed) == labels)),
        "swapped_taken_for_target": float(np.mean((predicted == targets)[other])),
        "class_in_codes_logistic": logistic,
        "class_in_codes_hidden_layer": network,
        "class_in_held_out_codes_hidden_layer": network_held_out,
        "classified_by_fitting": float(np.mean(run.classify(images) == labels)),
        "train_psnr": run.decoder.measure(run.codes, dataset.train_images, loss, run.conditions).result()["psnr"],
        "heldout_psnr": run.decoder.measure(fit.codes, images, loss, conditions).result()["psnr"],
    }


def _class_in_codes(run: Run, held_out: np.ndarray, held_out_labels: np.ndarray) -> tuple[float, float, float]:
    """Accuracies of predicting the class from learned codes that were not trained on, and from held-out codes.

    They are those of a logistic regression, of a network with one hidden layer, and of that network for held-out codes,
    which were fitted under their own class.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    labels = run.dataset.labels[run.dataset.train_rows]
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = np.split(order, [min(TESTED, len(order) // 5)])
    train = train[:TRAINED]
    mean, deviation = run.codes[train].mean(axis=0), run.codes[train].std(axis=0)
    codes, held_out = (run.codes - mean) / deviation, (held_out - mean) / deviation
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # neither needs to converge
        logistic = LogisticRegression(max_iter=200).fit(codes[train], labels[train])
        network = MLPClassifier(HIDDEN, batch_size=256, max_iter=EPOCHS, random_state=0)
        network.fit(codes[train], labels[train])
    on_codes = (float(model.score(codes[test], labels[test])) for model in (logistic, network))
    return *on_codes, float(network.score(held_out, held_out_labels))


if __name__ == "__main__":
    sys.exit(errors.run(main))
