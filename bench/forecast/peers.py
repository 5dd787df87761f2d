"""Peers of the forecaster: one question a line, {"values", "stepSeconds", "horizons"}; one answer a line. It is given
nothing but the values before the moment at which it is asked."""

import json
import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd
from prophet import Prophet
from statsforecast.models import AutoETS, AutoTheta

warnings.filterwarnings("ignore")
for name in ("cmdstanpy", "prophet"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

LEVEL = 80


def of_statsforecast(model):
    def forecast(values, step_seconds, steps):
        answer = model.forecast(y=np.asarray(values), h=steps, level=[LEVEL])
        return answer["mean"], answer[f"lo-{LEVEL}"], answer[f"hi-{LEVEL}"]

    return forecast


def of_prophet(values, step_seconds, steps):
    stamps = pd.date_range("2030-01-07", periods=len(values) + steps, freq=f"{step_seconds}s")
    model = Prophet(interval_width=LEVEL / 100, uncertainty_samples=200)
    model.fit(pd.DataFrame({"ds": stamps[: len(values)], "y": values}))
    answer = model.predict(pd.DataFrame({"ds": stamps[len(values):]}))
    return answer["yhat"], answer["yhat_lower"], answer["yhat_upper"]


PEERS = {
    "AutoETS": of_statsforecast(AutoETS(season_length=1)),
    "AutoTheta": of_statsforecast(AutoTheta(season_length=1)),
    "Prophet": of_prophet,
}


def ask(peer, question):
    horizons = question["horizons"]
    started = time.perf_counter()
    try:
        value, low, high = (np.asarray(part) for part in PEERS[peer](question["values"], question["stepSeconds"], max(horizons)))
    except Exception as trouble:  # A model that can't be fitted is told of, and counts as the last value.
        print(f"{peer}: {trouble}", file=sys.stderr)
        value = low = high = np.full(max(horizons), question["values"][-1])
    # A bound that is no number can't be told in JSON; it counts as the last value.
    last = question["values"][-1]
    value, low, high = (np.nan_to_num(part.astype(float), nan=last, posinf=last, neginf=last) for part in (value, low, high))
    places = [steps - 1 for steps in horizons]
    return {
        "seconds": time.perf_counter() - started,
        "value": value[places].tolist(),
        "low": low[places].tolist(),
        "high": high[places].tolist(),
    }


# What is compiled at first is no part of what is measured.
WARM = {"values": list(np.sin(np.arange(100.0))), "stepSeconds": 300, "horizons": [1]}
for each in PEERS:
    ask(each, WARM)

for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({peer: ask(peer, asked) for peer in PEERS}), flush=True)
