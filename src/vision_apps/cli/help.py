"""What there is, read from the configuration folders."""

from collections.abc import Sequence
from pathlib import Path

from vision_apps.core.config import options

_OPTIONS = """\
options
  --cfg job          show the configuration instead of training
  -m                 one run for each combination of values: model=a,b seed=0,1
  --config-dir DIR   a folder with more configurations (or set VISION_APPS_CONF)
  --info, --resolve, --package, --hydra-help, --shell-completion: see Hydra's manual"""


def overview(dirs: Sequence[Path]) -> str:
    """A few commands that work."""
    lines = [
        "vision-apps: computer-vision applications on PyTorch Lightning",
        "",
        *(f"  vision-apps train task={task} trainer=smoke" for task in options.applications(dirs)),
        "  vision-apps train --help              everything that can be chosen",
        "  vision-apps tune lr task=...          a learning rate to begin with; tune batch: a batch size",
        "  vision-apps sweep sweep=colorization jobs=2   search settings, in fresh processes",
        "  vision-apps runs                      list the runs, newest first",
        "  vision-apps compare RUN RUN           what differs, and whether it matters",
        "  vision-apps dashboard                 curves and pictures of all runs, live, with no account",
        "  vision-apps test RUN                  score a trained run again",
        "  vision-apps predict RUN photo.jpg     use it on pictures, videos or a webcam",
        "  vision-apps choose RUN photos         say which captions are best: it orders them so",
        "  vision-apps export RUN                one file for other programs, checked against the run",
        "  vision-apps sync                      upload W&B runs that were offline",
        "  vision-apps data check task=...       count and open the files of a data set",
    ]
    return "\n".join(lines)


def train(dirs: Sequence[Path]) -> str:
    lines = ["vision-apps train [group=name ...] [key=value ...] [options]", "", "applications (task=)"]
    for task, path in options.of_group("task", dirs).items():
        lines.append(f"  {task:<16} {options.description(path)}")
        for group in options.BY_APPLICATION:
            for name, file in options.of_application(group, task, dirs).items():
                lines.append(f"    {group}={options.short(name, dirs):<20} {options.description(file)}")
    for group in options.groups(dirs):
        if group not in ("task", *options.BY_APPLICATION):
            files = options.of_group(group, dirs).items()
            lines += ["", f"{group}=", *(f"  {name:<16} {options.description(file)}" for name, file in files)]
    lines += ["", _OPTIONS, "", "examples", *(f"  {line}" for line in examples(dirs))]
    return "\n".join(line.rstrip() for line in lines)


def examples(dirs: Sequence[Path]) -> list[str]:
    """Commands that run without downloads."""
    lines = []
    for task in options.applications(dirs):
        model = list(options.of_application("model", task, dirs))[-1]
        lines += [
            f"vision-apps train task={task} trainer=smoke",
            f"vision-apps train task={task} model={model} trainer.max_epochs=3 optimizer.lr=3e-4",
            f"vision-apps train -m task={task} trainer=smoke seed=0,1",
        ]
    return [*lines, "vision-apps train resume=runs/RUN trainer.max_epochs=20"]
