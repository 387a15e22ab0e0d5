"""Weights & Biases without prompts or waits: online with a key and a server, offline otherwise."""

import logging
import netrc
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import WandbLogger as LightningWandbLogger

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 3.0
_INIT_SECONDS = 20.0


def has_key(host: str) -> bool:
    """Whether a key is in ``WANDB_API_KEY`` or in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def reachable(url: str) -> bool:
    parts = urlsplit(url)
    try:
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        with socket.create_connection(address, timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def choose_mode() -> tuple[str, str]:
    """``online``, ``offline`` or ``disabled``, and why. ``WANDB_MODE`` decides where it is set; a key without
    a server would otherwise wait for minutes and then end the run."""
    import wandb  # 1.3 s: only a run that logs there pays for it

    asked = os.environ.get("WANDB_MODE")
    if asked in ("offline", "disabled", "dryrun"):
        return ("offline" if asked == "dryrun" else asked), f"WANDB_MODE={asked}"
    if asked in ("online", "shared"):
        return asked, f"WANDB_MODE={asked}"
    url = wandb.setup().settings.base_url  # of WANDB_BASE_URL, or of `wandb login --host`
    host = urlsplit(url).hostname or url
    if not has_key(host):
        return "offline", "no API key (set WANDB_API_KEY or run `wandb login` to see runs online)"
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"))
    if not proxied and not reachable(url):
        return "offline", f"{host} cannot be reached"
    return "online", host


class WandbLogger(LightningWandbLogger):
    """Lightning's logger with the mode chosen by what is there.

    Args:
        project, entity, group, tags, notes: as in ``wandb.init``; by default the group is the experiment, the
        name
            the run's folder.
        folder, run_name, run_id: named by the engine; the same id continues the same run after a resume.
    """

    def __init__(
        self,
        folder: str | Path,
        run_name: str,
        run_id: str,
        project: str = "vision_apps",
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
    ) -> None:
        import wandb

        self.mode, self.reason = choose_mode()
        super().__init__(
            name=run_name,
            save_dir=str(folder),
            id=run_id,
            project=project,
            entity=entity,
            group=group,
            tags=tags,
            notes=notes,
            mode=self.mode,
            resume="allow" if self.mode == "online" else None,
            settings=wandb.Settings(init_timeout=_INIT_SECONDS, console="off", silent=True),
        )
        self._wandb_init.pop("anonymous")  # Lightning always passes it, and W&B warns that it goes

    @property
    def experiment(self) -> Any:
        """The W&B run; when the server refuses or stops answering at the start, an offline one."""
        import wandb

        try:
            return super().experiment
        except (wandb.errors.CommError, wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
            log.warning("W&B: %s; logging offline, upload later with: wandb sync", error)
            wandb.teardown()  # its service still holds the run's id
            self.mode = "offline"
            self._wandb_init |= {"mode": "offline", "resume": None}
            return super().experiment

    def close(self) -> None:
        """Finish the run, so that the next one of this process does not log into it."""
        import wandb

        if wandb.run is not None:
            wandb.finish()
