"""MLServer as it comes from its index: two versions of a scikit-learn model and their Services."""

import base64
import io
import json
from typing import Any, Final

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Json = dict[str, Any]

FEATURES: Final = 30
PATH: Final = "/v2/models/cancer/infer"
_PORT: Final = 8080
GRPC_PORT: Final = 8081
_METRICS_PORT: Final = 8082
_SETTINGS: Final = {
    "host": "0.0.0.0",  # noqa: S104 - inside its pod
    "http_port": _PORT,
    "grpc_port": GRPC_PORT,
    "metrics_port": _METRICS_PORT,
    "parallel_workers": 0,
}


def question() -> Json:
    """A request that the model can answer."""
    row = [float(value) for value in load_breast_cancer().data[0]]
    tensor = {"name": "predict", "shape": [1, FEATURES], "datatype": "FP64", "data": row}
    return {"inputs": [tensor]}


def manifests(version: str, *, features: int = FEATURES) -> list[Json]:
    """A version; one that was trained on fewer features answers every request with 500."""
    labels = {"app": "cancer", "version": version}
    name = f"cancer-{version}"
    # It writes beside its settings, and what is mounted is read-only.
    start = "cp -rL /model /scratch/model && cd /scratch/model && exec mlserver start ."
    container = {
        "name": "server",
        "image": "mlserver:1.7.1",
        "command": ["sh", "-c", start],
        "ports": [
            {"name": "http", "containerPort": _PORT},
            {"name": "grpc", "containerPort": GRPC_PORT},
            {"name": "metrics", "containerPort": _METRICS_PORT},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/v2/models/cancer/ready", "port": _PORT},
            "periodSeconds": 1,
        },
        "volumeMounts": [
            {"name": "model", "mountPath": "/model"},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [container],
            "volumes": [
                {"name": "model", "configMap": {"name": name}},
                {"name": "scratch", "emptyDir": {}},
            ],
        },
    }
    return [
        _model(name, version, features=features),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        _service(name, labels),
    ]


def _service(name: str, labels: Json) -> Json:
    ports = [
        {"name": "http", "port": _PORT},
        {"name": "grpc", "port": GRPC_PORT, "appProtocol": "kubernetes.io/h2c"},
        {"name": "metrics", "port": _METRICS_PORT},
    ]
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(_METRICS_PORT)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": scraped},
        "spec": {"selector": labels, "ports": ports},
    }


def _model(name: str, version: str, *, features: int) -> Json:
    table = load_breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(table.data[:, :features], table.target)
    stored = io.BytesIO()
    joblib.dump(model, stored)
    settings = {
        "name": "cancer",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": version},
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {
            "settings.json": json.dumps(_SETTINGS),
            "model-settings.json": json.dumps(settings),
        },
        "binaryData": {"model.joblib": base64.b64encode(stored.getvalue()).decode()},
    }
