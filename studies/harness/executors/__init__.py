"""Where runs are executed. An executor takes tasks that are ready and tells what became of them; which are ready is the runner's
to know. `local` is the only one: worker processes on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from studies.setting.cell import Stage


@dataclass(frozen=True)
class Task:
    """One run: a stage at a replicate."""

    stage: Stage
    replicate: int

    @property
    def key(self) -> tuple[str, int]:
        return self.stage.id, self.replicate

    def upstream(self) -> Task | None:
        return Task(self.stage.upstream, self.replicate) if self.stage.upstream else None

    def __str__(self) -> str:
        return f"{self.stage.kind} {self.stage.id}/{self.replicate}"


@dataclass(frozen=True)
class Outcome:
    """What became of a task: `busy`, another process is at it; `killed`, its worker died; `disk full`, so others would fail too."""

    task: Task
    status: Literal["done", "failed", "busy", "killed", "disk full"]
    seconds: float = 0.0
    message: str = ""


class Executor(Protocol):
    """Takes as many tasks as `free` says, hands back outcomes, and leaves no process behind when stopped."""

    @property
    def free(self) -> int: ...

    def submit(self, task: Task) -> None: ...

    def wait(self, timeout: float) -> list[Outcome]: ...

    def stop(self) -> None: ...
