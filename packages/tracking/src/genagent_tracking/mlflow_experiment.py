"""The MLflow experiment that a run belongs to, and the view of its runs with what came out.

MLflow's list of runs shows no figure until somebody has chosen it. A view that is kept with the
experiment has them chosen: success before and after as columns, the latest run first.
"""

import json
from typing import TYPE_CHECKING

from genagent_tracking.store import artifact_location

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
_VIEW = "results"
_COLUMNS = (
    "tags.`changed`",
    *(
        f"metrics.`{figure}`"
        for kind in ("success", "judged_success")
        for figure in (f"{kind}_before", f"{kind}_after", f"first_{kind}_after")
    ),
    "tags.`seed`",
)
"""As MLflow names columns; those that no run has are not shown."""
# The form of MLflow 3.17's "share view": JSON, which it also takes without its compression.
_VIEW_TAG = {f"mlflow.sharedViewState.{_VIEW}": json.dumps({"selectedColumns": _COLUMNS})}


def find_experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """The experiment's id; it is made where there is none.

    Raises:
        MlflowException: the store cannot be used.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            location = artifact_location(uri, name)
            return client.create_experiment(name, location, tags=_TRAINING | _VIEW_TAG)
        except MlflowException:
            # Another process may have been faster.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    for tag, value in _VIEW_TAG.items():
        if found.tags.get(tag) != value:
            client.set_experiment_tag(found.experiment_id, tag, value)
    return found.experiment_id


def runs_page(pages: str, experiment_id: str) -> str:
    """The address of the experiment's list of runs, with success before and after as columns.

    Args:
        pages: address of MLflow's pages.
    """
    return f"{pages}/#/experiments/{experiment_id}/runs?viewStateShareKey={_VIEW}"
