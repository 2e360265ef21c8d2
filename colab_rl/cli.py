"""The command line: `python -m colab_rl COMMAND ...`.

Exit codes: 0 done; 1 failed, with one line that says what happened, what was kept and what
to do; 2 wrong usage; 130 and 143 after Ctrl-C and SIGTERM, with a checkpoint saved.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from colab_rl.errors import ColabRLError
from colab_rl.training.stopping import StoppedAtOnce


def console() -> int:
    """What the installed program `colab-rl` runs: environments in this folder are found, as by `python -m colab_rl`."""
    if not sys.flags.safe_path:
        sys.path.insert(0, "")
    return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    _mend_streams()
    options = _parser().parse_args(arguments)
    try:
        code = options.command(options)
        sys.stdout.flush()
        return code
    except ColabRLError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition(".")[0]
        if package == "colab_rl":
            raise  # none that somebody could install
        print(f"error: {error}; what was saved before is kept; {_installing(package)}", file=sys.stderr)
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return 128 + signal.SIGPIPE
        print(f"error: {error}; what was saved before is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print("stopped at once, without saving; the newest checkpoint is kept", file=sys.stderr)
        return 128 + (error.signal_number if isinstance(error, StoppedAtOnce) else signal.SIGINT)


def _mend_streams() -> None:
    """Lets results be printed where standard output is closed, or cannot show a file's name; they change no outcome."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (to the end of the program)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _installing(package: str) -> str:
    """What to do where a package cannot be imported."""
    from colab_rl import requirements

    try:
        missing = [f'"{need.requirement}"' for need in requirements.needs() if need.needed and need.here is None]
    except ModuleNotFoundError:  # it is `packaging`
        missing = []
    return f"pip install {' '.join(missing or [package])}, then run the same command again"


def _nobody_reads() -> bool:
    """Whether standard output is a pipe that was closed, as `| head` does; then what is left for it is dropped."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    closed = any(events & select.POLLERR for _, events in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    # Before or after the command: SUPPRESS keeps the second parser from undoing what the first one read.
    places = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    places.add_argument("--root", metavar="DIR", help="this machine's runs (default $COLAB_RL_ROOT, else runs)")
    places.add_argument("--store", metavar="PLACE", help="where checkpoints go beyond this machine: a folder, "
                        "drive:FOLDER, or none (default $COLAB_RL_STORE, else on Colab the mounted Drive's colab_rl "
                        "folder)")
    parser = _Parser(prog="colab_rl", parents=[places], description="Train, understand and show a "
                                     "reinforcement-learning policy.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, function: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[places], help=help, description=help)
        added.set_defaults(command=function)
        return added

    train = command("train", _train, "start a run, or continue it")
    train.add_argument("run")
    train.add_argument("--env", metavar="ID", help="Gymnasium id (default BipedalWalker-v3); module:Id-v0 for your own")
    train.add_argument("--algo", help="ppo (the default), or sac, for continuous actions")
    train.add_argument("--total-steps", metavar="N", help="environment steps; a larger number extends a run")
    train.add_argument("--seed", metavar="S")
    train.add_argument("--backend", default="auto", help="who steps the environments: auto, gymnasium, envpool")
    train.add_argument("--device", default="auto", help="auto, cpu, cuda")
    train.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[],
                       help="settings; see the command presets")
    train.add_argument("--from", metavar="OTHER[:GENERATION]", dest="origin",
                       help="begin a new run from another run's checkpoint")

    status = command("status", _status, "what runs there are and where their checkpoints lie")
    status.add_argument("run", nargs="?")

    evaluate = command("evaluate", _evaluate, "score a policy on stock gymnasium, deterministically")
    evaluate.add_argument("run")
    evaluate.add_argument("--checkpoint", default="best", metavar="WHICH", help="best, latest or a generation")
    evaluate.add_argument("--episodes", type=int, default=100)
    evaluate.add_argument("--seed", type=int, default=0, help="the episodes' seeds are SEED, SEED + 1, ...")

    verify = command("verify", _verify, "read every file of every checkpoint against its manifest")
    verify.add_argument("run")

    render = command("render", _render, "a video of a policy, with its telemetry drawn over it")
    render.add_argument("run")
    render.add_argument("--form", default="episode", help="episode (the default), compare: side by side on one seed, "
                        "evolution: how it learned")
    render.add_argument("--checkpoint", default="best", metavar="WHICH", help="best, latest or a generation")
    render.add_argument("--against", metavar="RUN[:WHICH]", nargs="+", action="extend", default=[],
                        help="1 to 3 others for compare (default: the run's first checkpoint)")
    render.add_argument("--seed", type=int, default=0, help="the episode's, as in evaluate")
    render.add_argument("--out", metavar="FILE", help=".mp4 or .gif (default: in the run's videos/)")
    render.add_argument("--gif", action="store_true", help="a GIF in the run's videos/, for a README")
    render.add_argument("--overlay", default="all", metavar="PANELS",
                        help="all, none, or some of caption,numbers,traces,actions,progress")
    render.add_argument("--size", type=int, metavar="W", help="width in pixels (default 600; compare 960; GIF 480)")
    render.add_argument("--speed", type=float, default=1.0, help="1 is real time")
    render.add_argument("--seconds", type=float, help="shown of each episode at most (default: all; evolution 6)")
    render.add_argument("--overwrite", action="store_true", help="replace the file where there is one")

    export = command("export", _export, "the policy as a folder to take away: ONNX, a model card, an example")
    export.add_argument("run")
    export.add_argument("--checkpoint", default="best", metavar="WHICH", help="best, latest or a generation")
    export.add_argument("--out", metavar="DIR", help="default: in the run's exports/")

    push = command("push", _push, "bring what the store lacks of a run there, and wait for it")
    push.add_argument("run")

    login = command("login", _login, "log in to Google Drive in a browser, and save that for --store drive:FOLDER")
    login.add_argument("client_secrets", metavar="CLIENT_SECRETS", help="an OAuth client's JSON file (docs/drive.md)")

    report = command("report", _report, "write the dashboards as one HTML file; several runs are compared")
    report.add_argument("runs", nargs="+", metavar="RUN[:CHECKPOINT]")
    report.add_argument("--out", metavar="FILE", help="default RUN-report.html in this folder")
    report.add_argument("--checkpoint", default="best", metavar="WHICH", help="best, latest or a generation")
    report.add_argument("--episodes", type=int, default=100, help="behind each score; 0 leaves the scores out")

    presets = command("presets", _presets, "the tuned settings, and all settings there are")
    bench = command("bench", _bench, "how fast this machine trains, and which settings suit it")
    bench.add_argument("--env", metavar="ID", help="Gymnasium id (default BipedalWalker-v3); module:Id-v0 for your own")
    doctor = command("doctor", _doctor, "what this machine has and lacks, and one fix a line where something is wrong")
    for added in (status, evaluate, verify, render, export, presets, bench, doctor):
        added.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _places(options: argparse.Namespace) -> dict[str, Any]:
    return {"root": getattr(options, "root", None), "store": getattr(options, "store", None)}


def _train(options: argparse.Namespace) -> int:
    from colab_rl.settings import parse_settings
    from colab_rl.training.session import train

    result = train(options.run, env=options.env, algo=options.algo, total_steps=options.total_steps,
                   seed=options.seed, backend=options.backend, device=options.device,
                   settings=parse_settings(options.set), source=options.origin, **_places(options))
    how = "finished" if result.finished else "stopped, the same command goes on from here"
    score = f", best score {result.best_score:.1f}" if result.best_score is not None else ""
    print(f"{result.run}: {how}; step {result.step:,} of {result.total_steps:,}, "
          f"generation {result.generation} saved{score}")
    if result.pending:
        print(f"error: {result.pending} checkpoints are not verified in the store yet: "
              f"{result.store_error or 'it is slow'}; they are kept here; the same command tries again",
              file=sys.stderr)
    sys.stderr.flush()
    print(f"state_sha256={result.state_sha256}", flush=True)
    if result.signal_number is not None:
        return 128 + result.signal_number
    return 1 if result.pending else 0


def _status(options: argparse.Namespace) -> int:
    from colab_rl.commands.status import status_in
    from colab_rl.runs.places import Places

    places = Places(**_places(options))
    found = status_in(places, options.run)
    if options.json:
        print(json.dumps(found[0] if options.run else found, indent=1))
        return 0
    if not found and not places.names():  # one that cannot be read has been told
        print("no runs yet: python -m colab_rl train NAME begins one")
    for run in found:
        score = "none yet" if run["best_score"] is None else f"{run['best_score']:.1f}"
        state = "finished" if run["finished"] else f"{100 * run['step'] / run['total_steps']:.0f} %"
        print(f"{run['run']}: {run['env_id']}, {run['algorithm']} on {run['backend']}, seed {run['seed']}; "
              f"step {run['step']:,} of {run['total_steps']:,} ({state}), best score {score}"
              f"{'' if run['exact'] else ', not bit-exact'}; {run['pending']} pending for the store")
        if options.run:
            print(f"{'generation':>10} {'step':>12} {'score':>9}  {'local':9} {'store':9}")
            for row in run["checkpoints"]:
                score = "" if row["score"] is None else f"{row['score']:.1f}"
                step = "" if row["step"] is None else f"{row['step']:,}"
                print(f"{row['generation']:>10} {step:>12} {score:>9}  {row['local']:9} {row['store']:9}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from colab_rl.commands.evaluate import evaluate

    summary = evaluate(options.run, checkpoint=options.checkpoint, episodes=options.episodes, seed=options.seed,
                       **_places(options)).summary()
    if options.json:
        print(json.dumps(summary))
    else:
        print("mean {mean:.2f} +- {std:.2f}, min {min:.2f}, max {max:.2f}, mean length {mean_length:.1f}, "
              "{episodes} episodes".format(**summary))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from colab_rl.commands.verify import verify

    found = verify(options.run, **_places(options))
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for line in found["bad"]:
            print(line)
        print(f"{found['run']}: {found['checkpoints']} checkpoints, {found['files']} files read, "
              f"{len(found['bad'])} bad")
    return 1 if found["bad"] else 0


def _render(options: argparse.Namespace) -> int:
    from colab_rl.views.video.render import render

    video = render(options.run, form=options.form, checkpoint=options.checkpoint, against=options.against,
                   seed=options.seed, out=options.out, gif=options.gif, overlay=options.overlay, size=options.size,
                   speed=options.speed, seconds=options.seconds, overwrite=options.overwrite, **_places(options))
    if options.json:
        print(json.dumps({**dataclasses.asdict(video), "path": str(video.path)}, indent=1))
    else:
        print(video.summary())
    if video.store_error:
        print(f"error: the video is whole here, and its copy did not reach the store: {video.store_error}; "
              "the same command tries again", file=sys.stderr)
    return 1 if video.store_error else 0


def _export(options: argparse.Namespace) -> int:
    from colab_rl.commands.export import export

    exported = export(options.run, checkpoint=options.checkpoint, out=options.out, **_places(options))
    print(json.dumps(exported.to_json(), indent=1) if options.json else exported.summary())
    if exported.store_error:
        print(f"error: the folder is whole here, and its copy did not reach the store: {exported.store_error}; "
              "the same command tries again", file=sys.stderr)
    return 1 if exported.store_error else 0


def _report(options: argparse.Namespace) -> int:
    from colab_rl.views.report.report import report

    print(report(options.runs, out=options.out, checkpoint=options.checkpoint, episodes=options.episodes,
                 **_places(options)))
    return 0


def _push(options: argparse.Namespace) -> int:
    from colab_rl.runs.push import push

    result = push(options.run, **_places(options))
    print(f"{result.run}: generation {result.generation} is {result.state} in the store")
    return 0


def _login(options: argparse.Namespace) -> int:
    from colab_rl.storage.drive.login import save_login

    print(f"logged in; saved for you alone in {save_login(options.client_secrets)}")
    return 0


def _presets(options: argparse.Namespace) -> int:
    from colab_rl.algorithms.registry import ALGORITHMS

    env_ids = dict.fromkeys(env_id for algorithm in ALGORITHMS.values() for env_id in algorithm.presets)
    tuned = {env_id: {name: algorithm.presets[env_id] for name, algorithm in ALGORITHMS.items()
                      if env_id in algorithm.presets} for env_id in env_ids}
    if options.json:
        print(json.dumps(tuned, indent=1))
        return 0
    for env_id, algorithms in tuned.items():
        for name, settings in algorithms.items():
            print(f"{env_id}, {name}: " + " ".join(f"{key}={_plain(value)}" for key, value in settings.items()))
    for name, algorithm in ALGORITHMS.items():
        print(f"\nEvery setting of {name}, with its default:")
        for field in dataclasses.fields(algorithm.config_class):
            print(f"  {f'{field.name}={_plain(field.default)}':36} {field.metadata['help']}")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from colab_rl.commands.bench import bench

    found = bench(options.env)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{found['env_id']}, {'tuned preset' if found['tuned'] else 'no tuned preset, the default settings'}: "
          f"num_envs={found['num_envs']} num_steps={found['num_steps']}")
    for speed in found["environments"]:
        where = f"{speed['backend']}, {speed['num_envs']} environments"
        print(f"  {where:30} {speed['steps_per_second']:>9,.0f} steps/s, random actions")
    for backend, reason in found["missing"].items():
        print(f"  {backend:30} not measured: {reason}")
    for speed in found["updates"]:
        where = f"update on {speed['device']}, threads {speed['threads']}"
        print(f"  {where:30} {speed['transitions_per_second']:>9,.0f} transitions/s")
    for speed in found["training"]:
        where = f"training on {speed['backend']}, {speed['device']}"
        print(f"  {where:30} {speed['steps_per_second']:>9,.0f} steps/s, collect and update")
    best = found["recommendation"]
    settings = "".join(f" {name}={best[name]}" for name in ("num_envs", "num_steps") if best[name] != found[name])
    print(f"Recommended: python -m colab_rl train NAME --env {found['env_id']} --backend {best['backend']} "
          f"--device {best['device']}{' --set' if settings else ''}{settings}")
    if best["threads"] > 1:
        print(f"  updates are faster on {best['threads']} threads, but a training takes one")
    print(f"Estimate: {best['estimated_seconds'] / 60:.1f} min for all {found['total_steps']:,} steps of the preset on "
          f"{best['backend']}, {best['device']}; evaluations not counted")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from colab_rl.commands.doctor import BAD, as_line, examine, to_json

    found = examine(**_places(options))
    print(json.dumps(to_json(found), indent=1) if options.json else "\n".join(map(as_line, found)))
    return 1 if any(finding.state == BAD for finding in found) else 0


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) or value is None else f"{value}"
