"""The dashboards that can be served: trackio and TensorBoard, both on this machine's own address only."""

import contextlib
import io
import os
import shutil
from pathlib import Path
from typing import Any

from vision_apps.core.errors import ConfigError, RunError
from vision_apps.dashboard import hosts
from vision_apps.dashboard.hosts import HOST
from vision_apps.dashboard.mirror import Picture, Point, Shown

_PICTURES_KEPT = 200  # of one name and run, by TensorBoard's sampling
_RELOAD_SECONDS = 2


class Trackio:
    """trackio, with its store below ``store``; `ConfigError` where it is not installed."""

    def __init__(self, store: Path) -> None:
        for name in [name for name in os.environ if name.startswith("TRACKIO_")]:
            del os.environ[name]  # of other uses; some send what is logged to a server
        os.environ["TRACKIO_DIR"] = str(store.absolute())  # read once, when trackio is imported
        os.environ["TRACKIO_PLOT_ORDER"] = "val/*,train/*,test/*,lr,epoch"
        os.environ["HF_HUB_OFFLINE"] = "1"  # it would otherwise ask who the owner of a token is
        try:
            import trackio
        except ImportError:
            raise ConfigError(
                "the dashboard needs trackio, which is not installed: pip install 'vision-apps[dashboard]'; "
                "or look at the runs in TensorBoard with --tensorboard"
            ) from None
        self._trackio: Any = trackio
        self._server: Any = None

    def open(self, port: int | None) -> str:
        with contextlib.redirect_stdout(io.StringIO()):  # its own notes, among them a link with write access
            try:
                self._server, url, _, _ = self._trackio.show(
                    open_browser=False, block_thread=False, host=HOST, server_port=port, share=False
                )
            except OSError:
                raise in_use(port) from None
        try:
            hosts.guard(getattr(self._server, "_uvicorn_server", None))
        except RunError:
            self._server.close()
            raise
        return str(url)

    def add(self, run: Shown, points: list[Point], pictures: list[Picture]) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            shown = self._trackio.init(
                project=run.project,
                name=run.name,
                group=run.group,
                config=run.config,
                resume="allow",
                embed=False,
                auto_log_cpu=False,  # of this process, which is not the one that trains
                auto_log_gpu=False,
            )
            for point in points:
                shown.log(dict(point.values), step=point.step)
            for picture in pictures:
                image = self._trackio.Image(picture.path, caption=picture.caption)
                shown.log({picture.name: image}, step=picture.step)
            self._trackio.finish()  # writes what was logged

    def forget(self, project: str, name: str) -> None:
        with contextlib.suppress(ValueError):  # the project is not there
            for run in self._trackio.Api().runs(project):
                if run.name == name:
                    run.delete()

    def close(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(RuntimeError):
            self._trackio.finish()  # a run that was being added; there is none as a rule
        self._server.close()


class TensorBoard:
    """TensorBoard, with its event files below ``store``; `ConfigError` where it is not installed."""

    def __init__(self, store: Path) -> None:
        try:
            from tensorboard import program  # type: ignore[import-untyped]
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            told = "TensorBoard is not installed: pip install 'vision-apps[tensorboard]'"
            raise ConfigError(told) from None
        self._program, self._writer = program, SummaryWriter
        self._events = store / "events"
        self._writers: dict[Path, SummaryWriter] = {}  # of runs that train

    def open(self, port: int | None) -> str:
        self._events.mkdir(exist_ok=True)
        make = self._program.create_port_scanning_werkzeug_server
        server = self._program.TensorBoard(server_class=lambda app, flags: make(hosts.wsgi(app), flags))
        arguments = {
            "logdir": self._events,
            "host": HOST,
            "reload_interval": _RELOAD_SECONDS,
            "samples_per_plugin": f"images={_PICTURES_KEPT}",
            "load_fast": "false",  # its second process would outlive this one when that is killed
            **({} if port is None else {"port": port}),
        }
        server.configure(argv=["tensorboard", *(f"--{name}={value}" for name, value in arguments.items())])
        try:
            return str(server.launch())
        except self._program.TensorBoardServerException:
            raise in_use(port) from None

    def add(self, run: Shown, points: list[Point], pictures: list[Picture]) -> None:
        import numpy as np
        import yaml
        from PIL import Image

        folder = self._events / run.project / run.name
        writer = self._writers.pop(folder, None)
        if writer is None:
            new = not folder.is_dir()
            writer = self._writer(str(folder))
            if new:
                text = yaml.safe_dump(run.config, sort_keys=False)
                writer.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()))
        for point in points:
            for name, value in point.values.items():
                writer.add_scalar(name, value, point.step)
        for picture in pictures:
            with Image.open(picture.path) as image:
                pixels = np.asarray(image.convert("RGB"))
            writer.add_image(picture.name, pixels, picture.step, dataformats="HWC")
        if run.live:
            writer.flush()
            self._writers[folder] = writer
        else:
            writer.close()

    def forget(self, project: str, name: str) -> None:
        folder = self._events / project / name
        writer = self._writers.pop(folder, None)
        if writer is not None:
            writer.close()
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def in_use(port: int | None) -> RunError:
    if port is None:
        return RunError(
            "no port is free for the dashboard; end another dashboard, or name a port with --port"
        )
    return RunError(
        f"--port {port}: another program uses this port, or it is not yours to use; "
        "leave --port out to get a free one"
    )
