"""``vision-apps serve``."""

from collections.abc import Sequence

from vision_apps.cli import options
from vision_apps.cli.output import announce

_LAST_PORT = 65535

_SERVE = """\
vision-apps serve RUN [--host ADDRESS] [--port N] [--rate N] [--megabytes N] [--no-browser]
                  [module.key=value ...] [allow_targets=[PACKAGE]]

  RUN           a run folder, a checkpoint or an exported file; last: the run that began last; best:METRIC:
                whose METRIC is best
  --host        an address of this machine at which others may ask too, as in --host 0.0.0.0; by default
                this machine alone, 127.0.0.1
  --port        by default a free one
  --rate        answers a minute, by default 60
  --megabytes   of a picture at most, by default 16
  --no-browser  only print the address
  module        what the application lets be chosen after training, as in module.tile=512

A page on which one drops a picture and sees the answer. For programs: POST /answer with the picture as the
body, words as in /answer?question=..., gives the row of predictions.jsonl as JSON; with drawing=true the
drawing, too. Ends with Ctrl-C."""

_OPTIONS = {
    "--host": "an address, as in --host 0.0.0.0",
    "--port": f"a number from 1 to {_LAST_PORT}, as in --port 7861",
    "--rate": "a number from 1, as in --rate 60",
    "--megabytes": "a number above 0, as in --megabytes 16",
    "--no-browser": None,
}


def serve(argv: Sequence[str]) -> None:
    given = options.parse(argv, _SERVE, _OPTIONS)
    run, host = options.run_of(given, _SERVE), given.value("--host")
    port = given.number("--port", int, most=_LAST_PORT)
    rate, megabytes = given.number("--rate", int), given.number("--megabytes", float)
    announce()
    from vision_apps.serving.limits import Limits
    from vision_apps.serving.server import serve as serving

    usual = Limits()
    limits = Limits(megabytes or usual.megabytes, rate or usual.per_minute)
    serving(run, given.words, host, port, "--no-browser" not in given, limits)
