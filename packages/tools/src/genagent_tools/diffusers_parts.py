"""The models in the folder of a diffusers pipeline, each whole or refused.

``DiffusionPipeline.from_pretrained`` draws at random what its folder lacks, and imports whatever
library the folder's index names; so its models are loaded one by one and handed to it.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from genagent_weights import WeightsError, load_whole, read_settings

LIBRARIES = ("diffusers", "transformers")


def load_parts(folder: Path, *, dtype: Any | None) -> dict[str, Any]:
    """The models by the names that the pipeline has for them.

    Args:
        dtype: torch's; None leaves each as it is stored.

    Raises:
        WeightsError: one cannot be loaded whole, or is of another library; names its file.
    """
    import diffusers
    from transformers import PreTrainedModel

    index = folder / "model_index.json"
    parts: dict[str, Any] = {}
    for name, entry in read_settings(index).items():
        if name.startswith("_") or not isinstance(entry, list) or entry == [None, None]:
            continue
        part_class = _class_of(f"{index}: {name}", name, entry)
        if issubclass(part_class, diffusers.ModelMixin):
            # The name before diffusers 0.42, which takes it until 1.0.
            options = {} if dtype is None else {"torch_dtype": dtype}
        elif issubclass(part_class, PreTrainedModel):
            options = {} if dtype is None else {"dtype": dtype}
        else:
            continue
        # Some repositories hold a part's files at their root.
        own = folder / name
        parts[name] = load_whole(part_class, own if own.is_dir() else folder, **options)
    return parts


def _class_of(place: str, name: str, entry: list[Any]) -> type:
    library, kind = entry if len(entry) == 2 else (None, None)
    if library not in LIBRARIES or not name.isidentifier():
        raise WeightsError(f"{place} is {entry!r:.80}; wants a class of {' or '.join(LIBRARIES)}")
    found = getattr(import_module(library), str(kind), None)
    if not isinstance(found, type):
        raise WeightsError(f"{place} is {kind!r:.80}, which this {library} does not have")
    return found
