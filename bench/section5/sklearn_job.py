#!/usr/bin/env python3
"""The equivalent of `section5 evaluate` in scikit-learn: the same cars, folds, features, models and scores.

    python3 sklearn_job.py CARS FOLDS OUTPUT SETTINGS

CARS is the output of `section5 generate`, FOLDS that of `section5 evaluate --folds-output`; SETTINGS is JSON. Folds are
distributed to one single-threaded process per core, which is the fastest configuration here.
"""

import csv
import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from joblib import Parallel, delayed  # noqa: E402
from scipy.stats import chi2  # noqa: E402
from sklearn.dummy import DummyClassifier  # noqa: E402
from sklearn.ensemble import GradientBoostingClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support  # noqa: E402
from sklearn.preprocessing import OneHotEncoder  # noqa: E402

LEVELS = [["vhigh", "high", "med", "low"]] * 2 + [
    ["2", "3", "4", "5more"], ["2", "4", "more"], ["small", "med", "big"], ["low", "med", "high"],
    ["unacc", "acc", "good", "vgood"]]
NAMES = ["buying", "maint", "doors", "persons", "lug_boot", "safety", "class"]
PRICE, CLASS = 0, 6
FEATURES = [1, 2, 3, 4, 5, 6]
SIGNIFICANCE = 0.01
MODELS = [("majority", "none"), ("logistic", "selected"), ("logistic", "all"), ("boosting", "selected"),
          ("boosting", "all"), ("bayes", "selected"), ("bayes", "all")]


def main() -> None:
    cars_path, folds_path, output, settings = sys.argv[1:]
    settings = json.loads(settings)
    start = time.perf_counter()
    with open(cars_path, newline="") as file:
        cars = np.array([[levels.index(value) for levels, value in zip(LEVELS, row)] for row in csv.reader(file)])
    of_cars = np.zeros((settings["repeats"], len(cars)), dtype=int)
    with open(folds_path, newline="") as file:
        for row, repeat, fold in list(csv.reader(file))[1:]:
            of_cars[int(repeat), int(row)] = int(fold)
    splits = [(repeat, fold) for repeat in range(settings["repeats"]) for fold in range(settings["folds"])]
    tasks = [(model, split) for model in MODELS for split in splits]
    # The longest tasks first, so that no core idles at the end.
    order = sorted(range(len(tasks)), key=lambda at: tasks[at][0][0] != "boosting")
    done = Parallel(n_jobs=len(os.sched_getaffinity(0)))(
        delayed(timed)(cars, of_cars[split[0]] == split[1], model) for model, split in (tasks[at] for at in order))
    probabilities = {tasks[at]: result for at, (result, _) in zip(order, done)}
    seconds = {model: sum(took for at, (_, took) in zip(order, done) if tasks[at][0] == model) for model in MODELS}
    scores = [of_model(cars, of_cars, model, splits, probabilities, settings) | {"seconds": seconds[model]}
              for model in MODELS]
    with open(output, "w") as file:
        json.dump({"seconds": time.perf_counter() - start, "models": scores}, file)


def timed(*arguments):
    start = time.perf_counter()
    result = evaluate(*arguments)
    return result, time.perf_counter() - start


def evaluate(cars, held_out, model):
    """The predicted probabilities of the held-out cars' prices."""
    kind, feature_set = model
    train, test = cars[~held_out], cars[held_out]
    features = {"none": [], "selected": selected(train) if feature_set == "selected" else [], "all": FEATURES}[feature_set]
    if kind == "majority":
        return DummyClassifier(strategy="prior").fit(train[:, :1], train[:, PRICE]).predict_proba(test[:, :1])
    if kind == "boosting":
        return GradientBoostingClassifier(random_state=0).fit(train[:, features], train[:, PRICE]) \
            .predict_proba(test[:, features])
    if kind == "logistic":
        encoder = one_hot(features)
        fitted = LogisticRegression(max_iter=200).fit(encoder.fit_transform(train[:, features]), train[:, PRICE])
        return fitted.predict_proba(encoder.transform(test[:, features]))
    inputs = [PRICE] + [feature for feature in features if feature != CLASS]
    encoder = one_hot(inputs)
    fitted = LogisticRegression(max_iter=200).fit(encoder.fit_transform(train[:, inputs]), train[:, CLASS])
    likelihood = np.zeros((len(test), len(LEVELS[PRICE])))
    for price in range(len(LEVELS[PRICE])):
        at_price = test[:, inputs].copy()
        at_price[:, 0] = price
        likelihood[:, price] = fitted.predict_proba(encoder.transform(at_price))[range(len(test)), test[:, CLASS]]
    return likelihood / likelihood.sum(axis=1, keepdims=True)


def one_hot(features) -> OneHotEncoder:
    return OneHotEncoder(categories=[range(len(LEVELS[feature])) for feature in features], sparse_output=False)


def selected(train) -> list[int]:
    """Forward selection by conditional mutual information, as long as the G-test is significant."""
    taken, left = [], list(FEATURES)
    while left:
        found = [(feature, *conditional(train, feature, taken)) for feature in left]
        found = [one for one in found if one[2] < SIGNIFICANCE / len(left)]
        if not found:
            break
        best = max(found, key=lambda one: one[1])[0]
        taken.append(best)
        left.remove(best)
    return sorted(taken)


def conditional(train, feature, given) -> tuple[float, float]:
    """The G statistic, 2 n I(price; feature | given), and its p-value."""
    sizes = [len(LEVELS[attribute]) for attribute in given]
    strata = np.ravel_multi_index(train[:, given].T, sizes) if given else np.zeros(len(train), dtype=int)
    counts = np.zeros((int(np.prod(sizes)), len(LEVELS[PRICE]), len(LEVELS[feature])))
    np.add.at(counts, (strata, train[:, PRICE], train[:, feature]), 1)
    rows, columns = counts.sum(axis=2, keepdims=True), counts.sum(axis=1, keepdims=True)
    total = counts.sum(axis=(1, 2), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = 2 * np.nansum(np.where(counts > 0, counts * np.log(counts * total / (rows * columns)), 0))
    degrees = np.maximum((rows > 0).sum(axis=(1, 2)) - 1, 0) * np.maximum((columns > 0).sum(axis=(1, 2)) - 1, 0)
    return g, chi2.sf(g, degrees.sum())


def of_model(cars, of_cars, model, splits, probabilities, settings) -> dict:
    prices = cars[:, PRICE]
    predicted = np.zeros_like(of_cars)
    accuracies, all_true, all_probabilities = [], [], []
    for repeat, fold in splits:
        held_out = of_cars[repeat] == fold
        found = probabilities[model, (repeat, fold)]
        predicted[repeat, held_out] = found.argmax(axis=1)
        accuracies.append((predicted[repeat, held_out] == prices[held_out]).mean())
        all_true.append(prices[held_out])
        all_probabilities.append(found)
    number = len(accuracies)
    correction = 1 / number + 1 / (settings["folds"] - 1)
    everywhere = np.tile(prices, len(of_cars))
    precision, recall, f1, _ = precision_recall_fscore_support(everywhere, predicted.ravel(), zero_division=0)
    return {
        "model": model[0],
        "feature_set": model[1],
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_standard_error": float(np.sqrt(correction * np.var(accuracies, ddof=1))),
        "macro_f1": float(np.mean([f1_score(prices, of_repeat, average="macro") for of_repeat in predicted])),
        "log_loss": float(log_loss(np.concatenate(all_true), np.concatenate(all_probabilities))),
        "p_value": p_value(predicted, prices, settings),
        "prices": np.array([precision, recall, f1]).T.tolist(),
        "confusion": confusion_matrix(everywhere, predicted.ravel()).tolist(),
        "features": [NAMES[feature] for feature in selected(cars)] if model[1] == "selected" else None,
    }


def p_value(predicted, prices, settings) -> float:
    votes = (predicted[:, :, None] == np.arange(len(LEVELS[PRICE]))).sum(axis=0)
    rows = np.arange(len(prices))
    true_one = votes[rows, prices].sum()
    random = np.random.default_rng(settings["seed"])
    as_good = sum(votes[rows, random.permutation(prices)].sum() >= true_one for _ in range(settings["permutations"]))
    return (1 + int(as_good)) / (1 + settings["permutations"])


if __name__ == "__main__":
    main()
