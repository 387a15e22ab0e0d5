"""Weights & Biases without prompts or waits: online with a key and a server, offline otherwise."""

import logging
import netrc
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import WandbLogger as LightningWandbLogger
from pytorch_lightning.utilities import rank_zero_only

from vision_apps.core.run_folder import RunFolder

if TYPE_CHECKING:
    from wandb import Run

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 3.0
_INIT_SECONDS = 20.0  # for a server to answer
_LOCAL_SECONDS = 600.0  # for a process of this machine, which may be busy
_STEP = "trainer/global_step"  # Lightning logs it with everything
_LOSS = "val/loss"
_DATA = "WANDB_DATA_DIR"


def has_key(host: str) -> bool:
    """Whether a key for ``host`` is in ``WANDB_API_KEY`` or in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def reachable(url: str) -> bool:
    """Whether the server takes a connection within 3 s."""
    parts = urlsplit(url)
    try:
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        with socket.create_connection(address, timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def server() -> tuple[str, str]:
    """W&B's host, and its address as ``WANDB_BASE_URL`` or ``wandb login --host`` say it."""
    import wandb  # 1.3 s: only a run that logs there pays for it

    url = wandb.setup().settings.base_url
    return urlsplit(url).hostname or url, url


def choose_mode() -> tuple[str, str]:
    """W&B's mode (``online``, ``offline``, ``shared`` or ``disabled``), and why. ``WANDB_MODE`` decides where
    it is set, else whether there are a key and a server."""
    # with a key and no server W&B would wait for minutes and then end the run
    asked = os.environ.get("WANDB_MODE")
    if asked in ("offline", "disabled", "dryrun", "online", "shared"):
        return ("offline" if asked == "dryrun" else asked), f"WANDB_MODE={asked}"
    host, url = server()
    if not has_key(host):
        return "offline", "no API key (set WANDB_API_KEY or run `wandb login` to see runs online)"
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"))
    if not proxied and not reachable(url):
        return "offline", f"{host} cannot be reached"
    return "online", host


def _settings(mode: str) -> Any:
    import wandb

    patience = _INIT_SECONDS if mode == "online" else _LOCAL_SECONDS
    return wandb.Settings(init_timeout=patience, console="off", silent=True)


class WandbLogger(LightningWandbLogger):
    """Lightning's logger of W&B, online with a key and a server and offline otherwise.

    Args:
        folder, run_name, run_id: named by the engine; the same id continues the same run after a resume.
            Under W&B's own sweep agent the run has the agent's id, which the run folder then keeps.
        run_group: of the run, as a rule its sweep; ``group`` goes before it.
        tags_of_run: task, model and data; ``tags`` are added to them.
        project, entity, group, tags, notes: arguments of ``wandb.init``. W&B takes project and entity
            from its agent where there is one.
        monitor: the metric whose best value the page's tables show beside the last one.
        direction: ``min`` or ``max``, where ``monitor`` is best.
    """

    def __init__(
        self,
        folder: str | Path,
        run_name: str,
        run_id: str,
        run_group: str | None = None,
        tags_of_run: Sequence[str] = (),
        project: str = "vision_apps",
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        monitor: str | None = None,
        direction: str = "min",
    ) -> None:
        self.mode, self.reason = choose_mode()
        self.folder = RunFolder(folder)
        self.agent = "WANDB_SWEEP_ID" in os.environ
        self.best_of = {_LOSS: "min", **({monitor: direction} if monitor else {})}
        super().__init__(
            name=run_name,
            save_dir=str(folder),
            id=run_id,
            project=project,
            entity=entity,
            group=group or run_group,
            tags=list(dict.fromkeys([*tags_of_run, *(tags or [])])),
            notes=notes,
            mode=self.mode,
            resume="allow" if self.mode == "online" else None,
            settings=_settings(self.mode),
        )
        self._wandb_init.pop("anonymous")  # Lightning always passes it, and W&B warns that it goes
        if self.agent:
            self._wandb_init |= {"project": None, "entity": None, "id": os.environ.get("WANDB_RUN_ID")}

    @property
    def experiment(self) -> "Run":
        """The W&B run; when the server refuses or stops answering at the start, an offline one."""
        import wandb

        new = self._experiment is None
        try:
            run = super().experiment
        except (wandb.errors.CommError, wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
            log.warning(
                "W&B: %s; logging offline, upload later with: vision-apps sync %s", error, self.folder.path
            )
            wandb.teardown()  # its service still holds the run's id
            self.mode = "offline"
            self._wandb_init |= {"mode": "offline", "resume": None, "settings": _settings("offline")}
            run = super().experiment
        if new and self._experiment is not None:
            self._introduce(run)
        return run

    def _introduce(self, run: "Run") -> None:
        """Say what the metrics are; Lightning's rule for all holds no longer for one that is named here."""
        run.define_metric("epoch", step_metric=_STEP, step_sync=True, hidden=True)
        if self.agent:  # which reads a metric as one number, and not as its best and last
            self.folder.note(id=run.id)
            return
        for name, direction in self.best_of.items():
            run.define_metric(name, step_metric=_STEP, step_sync=True, summary=f"{direction},last")

    @rank_zero_only
    def log_table(self, *arguments: Any, **keywords: Any) -> None:
        """Log a table with Lightning's arguments. Its pictures wait for their upload in the run's folder; W&B
        would leave them in the user's home, where nobody looks for a part of a run before clearing up."""
        before = os.environ.get(_DATA)
        os.environ[_DATA] = before or str((self.folder.path / "wandb").absolute())
        try:
            super().log_table(*arguments, **keywords)
        finally:
            if before is None:
                del os.environ[_DATA]

    def close(self) -> None:
        """Finish the run, so that the next one of this process does not log into it."""
        import wandb

        if wandb.run is not None:
            wandb.finish()
