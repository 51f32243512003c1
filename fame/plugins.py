"""Load a user's own masks, pretraining objectives and studies from one file outside the repository (`--plugin FILE`).

    @fame.plugins.mask("variance")
    def variance(clips, beta):            # float (B, 3, T, H, W) in [0, 1] and the share of the frame to keep
        return clips.var(2).sum(1)        # float (B, H, W): a score, whose highest beta share is kept; or bool: the mask itself

    @fame.plugins.pretraining("pace")
    class Pace(fame.plugins.Objective):
        paces: int = 4                    # hyperparameters: pydantic fields, in the id
        def train(self, config, encoder, videos, rows, run): ...    # trains `encoder` in place, returns metrics

    STUDY = Study(...)                    # or STUDIES = (Study(...), ...): tables of own rows

The SHA-256 of the file's content is in the id of every run that uses its mask or objective, and in no other.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args

from pydantic import create_model

from fame.config import MASKS, OBJECTIVES, PLUGGED, Control, Objective
from fame.errors import FameError

if TYPE_CHECKING:
    from torch import Tensor

Scores = Callable[["Tensor", float], "Tensor"]
Class = TypeVar("Class", bound=type[Objective])


class Plugin(NamedTuple):
    """A plugin's file, and the SHA-256 of its content."""

    path: str
    sha256: str


_modules: dict[Plugin, ModuleType] = {}
mask_functions: dict[str, Scores] = {}
_loading: list[str] = []  # digest of the file that is being loaded


def mask(name: str, label: str = "") -> Callable[[Scores], Scores]:
    """Register a mask under `name`; `label` names its row in tables."""
    if name in (taken := (*MASKS, *get_args(Control))):
        raise FameError(f"mask {name!r}: the name is taken; taken are {', '.join(taken)}")

    def register(function: Scores) -> Scores:
        MASKS[name], PLUGGED[name], mask_functions[name] = label or name, _digest(), function
        return function

    return register


def pretraining(name: str) -> Callable[[Class], Class]:
    """Register a subclass of `Objective` with a method `train` as a kind of pretraining."""
    if name in OBJECTIVES:
        raise FameError(f"pretraining {name!r}: the name is taken; taken are {', '.join(OBJECTIVES)}")

    def register(given: Class) -> Class:
        if not (isinstance(given, type) and issubclass(given, Objective) and callable(getattr(given, "train", None))):
            raise FameError(f"pretraining {name!r}: it must be a subclass of fame.plugins.Objective with a method train")
        fields: dict[str, Any] = {"kind": (Literal[name], name), "plugin": (str, _digest())}
        make: Any = create_model
        made = make(given.__name__, __base__=given, __module__=given.__module__, **fields)
        made()  # a row of its own in the tables is of default fields: pydantic complains where one has no default
        OBJECTIVES[name] = made
        return made  # type: ignore[no-any-return]

    return register


def load(path: Path | str, sha256: str = "") -> Plugin:
    """Load a plugin once a process. FameError if it fails, registers nothing or a taken name, or is not of digest `sha256`."""
    path = Path(path).resolve()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FameError(f"--plugin {path}: cannot be read ({error.strerror})") from None
    plugin = Plugin(str(path), hashlib.sha256(content).hexdigest())
    if sha256 not in ("", plugin.sha256):
        raise FameError(f"{path}: the plugin has changed since; give it again with --plugin {path}, and its rows run anew")
    if plugin in _modules:
        return plugin
    for known in [known for known in _modules if known.path == plugin.path]:
        _forget(known.sha256)  # an earlier state of the same file
    module = _modules[plugin] = ModuleType(f"fame_plugin_{plugin.sha256[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where pydantic looks up annotations
    _loading.append(plugin.sha256)
    try:
        exec(compile(content, str(path), "exec"), vars(module))
        registered = {*PLUGGED.values(), *(one.model_fields["plugin"].default for one in OBJECTIVES.values())}
        if plugin.sha256 not in registered and not {"STUDY", "STUDIES"} & set(vars(module)):
            raise FameError("it registers no mask, no pretraining and no STUDY")
    except Exception as error:
        _forget(plugin.sha256)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        what = str(error) if isinstance(error, FameError) else f"{type(error).__name__}: {error}"
        raise FameError(f"--plugin {path}{f', line {line}' if line else ''}: {what}") from None
    finally:
        _loading.pop()
    return plugin


def loaded() -> tuple[Plugin, ...]:
    """Return the plugins of this process, for another process to load."""
    return tuple(_modules)


def modules() -> tuple[ModuleType, ...]:
    """Return the loaded files as modules, for whoever looks for their studies."""
    return tuple(_modules.values())


def _digest() -> str:
    if not _loading:
        raise FameError("masks and pretrainings are registered by a file that --plugin FILE or fame.plugins.load(FILE) loads")
    return _loading[-1]


def _forget(sha256: str) -> None:
    for name in [name for name, digest in PLUGGED.items() if digest == sha256]:
        del MASKS[name], PLUGGED[name], mask_functions[name]
    for kind in [kind for kind, one in OBJECTIVES.items() if one.model_fields["plugin"].default == sha256]:
        del OBJECTIVES[kind]
    for known in [known for known in _modules if known.sha256 == sha256]:
        del _modules[known]
