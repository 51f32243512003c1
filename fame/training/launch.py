"""Launch the ranks of one pretraining by torch's elastic launcher, here and, where several machines share it, on each of them.

A rank that dies is started again with all others, from the last saved epoch; one that is given something wrong is not.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.distributed import DistStoreError, TCPStore
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from fame.config import Pretrain
from fame.errors import FameError, NotFinite
from fame.plugins import loaded
from fame.processes import termination_kept
from fame.run import LOG, Run

RESTARTS = 3
WAIT = 600  # seconds for the other machines
ANSWER = 5  # seconds for the one that listens already
REFUSED = "refused.txt"  # why a rank cannot go on, whatever is tried again
ERRORS = {kind.__name__: kind for kind in (FameError, NotFinite)}


def launch(config: Pretrain, run: Run, root: Path) -> dict[str, float]:
    """Train in this machine's ranks, on videos in `root`; return the last epoch's loss and accuracy. FameError where any fails."""
    local = config.ranks // run.nodes
    if run.device.type == "cuda" and local > torch.cuda.device_count():
        raise FameError(f"{local} ranks need {local} GPUs, and {torch.cuda.device_count()} are here; ask for so many")
    if run.endpoint:
        _meeting(run.endpoint)
    with TemporaryDirectory(prefix="fame-ranks-") as folder:
        file = Path(folder) / "config.json"
        file.write_text(config.model_dump_json(), encoding="utf-8")
        words = ["-m", "fame.training", file, run.folder, "--parent", os.getpid(), "--data-root", root]
        words += ["--replicate", run.seeds.replicate, "--device", run.device.type]
        words += ["--cache", run.cache] if run.cache else []
        for plugin in loaded():
            words += ["--plugin", plugin.path]
        asked = LaunchConfig(
            min_nodes=run.nodes,
            max_nodes=run.nodes,
            nproc_per_node=local,
            run_id=f"{run.folder.parent.name}-{run.folder.name}",
            rdzv_backend="c10d",
            rdzv_endpoint=run.endpoint or "localhost:0",
            rdzv_configs={"join_timeout": WAIT, "read_timeout": WAIT},
            local_addr=None if run.endpoint else "localhost",
            max_restarts=RESTARTS,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            signals_to_handle="SIGTERM",
            shutdown_timeout=3,
        )
        # else torch 2.15 does not tell the address of the first rank to a machine that comes back
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        try:
            with termination_kept():
                elastic_launch(asked, sys.executable)(*words)
        except ChildFailedError as error:
            raise refused(run.folder) or FameError(_told(*error.get_first_failure())) from None
        except (RendezvousError, DistStoreError) as error:
            where = f"{run.endpoint}: {run.nodes} machines did not meet there ({error.__cause__ or error})"
            raise FameError(f"{where}; start the same command on each, with the same free port of one of them") from None
        except SignalException as end:
            sys.exit(128 + end.sigval)
    lines = [json.loads(line) for line in (run.folder / LOG).read_text(encoding="utf-8").splitlines()]
    return {name: line[name] for line in lines if "step" in line for name in ("loss", "accuracy")}


def refuse(folder: Path, error: FameError) -> None:
    """Leave the reason for the launcher, and for the ranks that it starts again all the same."""
    (folder / REFUSED).write_text(f"{type(error).__name__}: {error}", encoding="utf-8")


def refused(folder: Path) -> FameError | None:
    """Return the error that a rank of this run left by `refuse`."""
    if not (folder / REFUSED).exists():
        return None
    name, _, text = (folder / REFUSED).read_text(encoding="utf-8").partition(": ")
    return ERRORS[name](text)


def _told(rank: int, failure: ProcessFailure) -> str:
    text = failure.message
    said = text["message"] if isinstance(text, dict) else f"signal {-failure.exitcode}" if failure.exitcode < 0 else text
    return f"rank {rank} of the pretraining ended, after {RESTARTS} restarts: {said}"


def _meeting(endpoint: str) -> None:
    """Raise FameError where no machine is named, or another program listens, whose answer torch would wait for without end."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except (socket.gaierror, ValueError, OverflowError) as error:
        raise FameError(f"{endpoint}: is no HOST:PORT of a machine that is known here ({error})") from None
    except OSError:
        return  # nobody listens yet

    def call() -> None:
        with suppress(RuntimeError):  # told by the launcher
            TCPStore(host, int(port), is_master=False, timeout=timedelta(seconds=ANSWER))

    called = threading.Thread(target=call, daemon=True)
    called.start()
    called.join(2 * ANSWER)
    if called.is_alive():
        raise FameError(f"{endpoint}: another program listens there; choose a free port, the same on each machine")
