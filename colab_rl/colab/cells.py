"""What the notebooks' cells call, beyond the package's own functions."""

from __future__ import annotations

import base64
import html
import os
import shlex
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import colab_rl
from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.registry import register_algorithm
from colab_rl.arguments import checked
from colab_rl.checkpoints.confirmation import confirmation_of
from colab_rl.checkpoints.retention import best
from colab_rl.colab import install, session
from colab_rl.colab.names import run_to_train, stripped
from colab_rl.colab.shown import framed, offer
from colab_rl.environments import EnvironmentSource
from colab_rl.environments.threshold import goal_of
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.example import EXAMPLE, unpack_example
from colab_rl.progress import Dispensable, how_far
from colab_rl.runs.identity import TENSORBOARD
from colab_rl.runs.places import Places
from colab_rl.runs.survey import survey
from colab_rl.settings import Config, one_setting
from colab_rl.storage import Storage, open_store
from colab_rl.user_code import import_path
from colab_rl.views.live import LivePlot

if TYPE_CHECKING:
    from colab_rl.training.result import TrainingResult
    from colab_rl.views.video.film import Video

MOST_INLINE = 8_000_000  # bytes of a film inside a notebook


def show_tensorboard(root: str | os.PathLike | None = None) -> None:
    """TensorBoard over this machine's event files, in the cell's output.

    Started before training, it shows curves while the training cell runs.
    """
    from tensorboard import notebook

    folder = Places(root, store="none").root / TENSORBOARD
    folder.mkdir(parents=True, exist_ok=True)
    beside_python = Path(sys.executable).with_name("tensorboard")
    if not shutil.which("tensorboard") and beside_python.exists():
        os.environ.setdefault("TENSORBOARD_BINARY", str(beside_python))
    notebook.start(f"--logdir {shlex.quote(str(folder))} --reload_interval 15")


def show_video(video: Video) -> None:
    """A player in the cell's output, for the file itself if it is small, else for a preview of it.

    Larger films inside a notebook have crashed browser tabs.
    """
    from IPython.display import HTML, display

    from colab_rl.views.video.encoder import make_preview

    print(video.summary())
    with tempfile.TemporaryDirectory() as folder:
        path = video.path
        if path.stat().st_size > MOST_INLINE:
            path = Path(folder, "preview.mp4")
            make_preview(video.path, path, MOST_INLINE // 2)
            print(f"shown here: a smaller preview; the film itself is {video.store or video.path}")
        content = base64.b64encode(path.read_bytes()).decode()
    width = f'style="width:100%;max-width:{video.size[0]}px"'
    if path.suffix.lower() == ".gif":
        display(HTML(f'<img {width} src="data:image/gif;base64,{content}">'))
    else:
        display(HTML(f'<video {width} controls autoplay loop muted playsinline '
                     f'src="data:video/mp4;base64,{content}"></video>'))


def offer_film(run: str, store: str | os.PathLike | None, root: str | os.PathLike | None,
               env: EnvironmentSource | None = None) -> None:
    """A button that films how the policy came about and shows the film below it; nothing if there are no widgets.

    env: give it if the run trains on a function or class of yours.
    """
    try:
        import ipywidgets
    except ImportError:
        return
    from IPython.display import display

    button = ipywidgets.Button(description="Film how it learned", layout={"width": "auto"})
    below = ipywidgets.Output()

    def film(_button: object) -> None:
        button.disabled = True
        try:
            below.clear_output()
            with below:
                try:
                    show_video(colab_rl.render(run, form="evolution", overwrite=True, env=env, store=store, root=root))
                except ColabRLError as error:  # a widget's callback would hide it in the kernel's log
                    print(f"error: {error}")
        finally:
            button.disabled = False

    button.on_click(film)
    display(button, below)


@checked
def show_report(run: str, checkpoint: str | int = "best", compare: str = "", store: str | os.PathLike | None = None,
                root: str | os.PathLike | None = None, env: EnvironmentSource | None = None) -> None:
    """Writes the report, shows the scores in it as a table, and offers the file for download.

    compare, env: as in `show_dashboards`.
    """
    from IPython.display import HTML, display

    from colab_rl.views.report import write_report

    written = write_report(_named_runs(run, compare), checkpoint=stripped(checkpoint), env=env, store=store, root=root)
    display(HTML(written.scores.html()))
    offer(written.path)


def _named_runs(run: str, compare: str) -> list[str]:
    """A run, and those of a list separated by commas."""
    return [run.strip(), *(name.strip() for name in compare.split(",") if name.strip())]


@checked
def show_dashboards(run: str, checkpoint: str | int = "best", compare: str = "",
                    store: str | os.PathLike | None = None, root: str | os.PathLike | None = None,
                    env: EnvironmentSource | None = None) -> None:
    """The dashboards of a run, or of several, in the cell's output; pickers above choose others.

    compare: other runs, `NAME` or `NAME:CHECKPOINT`, separated by commas.
    env: give it if the run trains on a function or class of yours.
    """
    from IPython.display import display

    from colab_rl.views.report import build_page

    run, checkpoint, places = run.strip(), stripped(checkpoint), Places(root, store)
    places.require(run.partition(":")[0])  # a sweep has a page and no checkpoints to pick from

    def page_of(names: list[str]) -> dict[str, str]:
        own = env if names[0].partition(":")[0] == run else None
        return framed(build_page(names, checkpoint=checkpoint, episodes=0, env=own, root=root, store=store))

    def show(chosen: str) -> None:
        try:
            handle.update(page_of([chosen]), raw=True)
        except ColabRLError as error:  # a widget's callback would hide it in the kernel's log
            show_error(error)

    def show_error(error: ColabRLError) -> None:
        handle.update({"text/html": f"<p>{html.escape(str(error))}</p>"}, raw=True)

    first = page_of(_named_runs(run, compare))
    pickers = _pickers(run, places, show, show_error)
    if pickers is not None:
        display(pickers)
    handle = display(first, raw=True, display_id=True)


def _pickers(run: str, places: Places, show: Callable[[str], None],
             show_error: Callable[[ColabRLError], None]) -> Any:
    """Drop-down lists of runs and their checkpoints, and a button; None if there are no widgets."""
    try:
        import ipywidgets
    except ImportError:
        return None
    from colab_rl.views.history import checkpoint_names

    runs = ipywidgets.Dropdown(options=places.names(), value=run.partition(":")[0], description="Run")
    checkpoints = ipywidgets.Dropdown(options=checkpoint_names(runs.value, places), description="Checkpoint")
    button = ipywidgets.Button(description="Show")

    def refill(_change: object) -> None:
        names: list[tuple[str, str]] = []
        try:
            names = checkpoint_names(runs.value, places)
        except ColabRLError as error:  # as in `show`
            show_error(error)
        checkpoints.options, button.disabled = names, not names

    def clicked(_button: object) -> None:
        button.disabled, button.description = True, "Reading ..."
        try:
            show(f"{runs.value}:{checkpoints.value}")
        finally:
            button.disabled, button.description = False, "Show"

    runs.observe(refill, "value")
    button.on_click(clicked)
    return ipywidgets.HBox([runs, checkpoints, button])


@checked
def show_export(run: str, checkpoint: str | int = "best", store: str | os.PathLike | None = None,
                root: str | os.PathLike | None = None) -> None:
    """Exports a policy, and shows its folder and its card. Installs what that needs first, if it is missing."""
    from IPython.display import display

    install.complete_export()
    exported = colab_rl.export(run.strip(), checkpoint=stripped(checkpoint), store=store, root=root)
    print(exported.summary())
    if exported.store_error:
        print(f"its copy did not reach the store: {exported.store_error}; run this cell again")
    display(colab_rl.load_policy(exported.path))


@checked
def set_up(store: str = "", verify: bool = True, root: str | os.PathLike | None = None) -> str | None:
    """Connects the store, tries it, and shows what is there; says what is wrong instead of raising it.

    Returns the store's name, None if there is none.
    """
    try:
        place = session.connect(store, verify)
        opened = open_store(place, make=True)
        if opened is None:
            print(f"no store: runs stay on this machine; {session.OFFERS}")
        else:
            try_store(opened)
            keep_package(opened)
    except ColabRLError as error:
        print(f"no store: {error}")
        place = "none"
    show_runs(place, root)
    return place


def try_store(storage: Storage) -> None:
    """Writes a small file to a store, reads it back and removes it; prints how that went and the space that is free.

    Raises StorageError if it does not.
    """
    name, content = f"probe-{uuid.uuid4().hex[:8]}", os.urandom(1000)
    began = time.perf_counter()
    try:
        storage.put(name, content)
        if storage.get(name) != content:
            raise StorageError(f"{storage.place} reads back something else than was written")
    finally:
        storage.delete(name)
    seconds, free = time.perf_counter() - began, storage.free_bytes()
    space = f"{free / 1e9:.1f} GB free" if free is not None else "no limit of its own"
    proof = ("what it holds can be verified" if storage.proves or storage.witness else
             "checkpoints there are `written` and never `verified`: the mount answers from this machine's cache, and "
             "nobody is logged in to Drive itself")
    print(f"store {storage.place}: written, read back and removed in {seconds:.1f} s; {space}; {proof}")


def keep_package(storage: Storage) -> None:
    """Keeps the package's wheel in a store, where the notebooks' first cell finds it on a bare machine; says so."""
    try:
        name, content = install.build_wheel()
        if not storage.stats([name]) or not install.same_wheel(storage.get(name), content):
            storage.put(name, content)
        print(f"{name} is kept in {storage.place}: what trained a run is there wherever the run is")
    except ColabRLError as error:
        print(f"colab_rl {colab_rl.__version__} is not kept in {storage.place}: {error}; "
              "the notebooks take it from REPOSITORY")


@checked
def show_runs(store: str | os.PathLike | None = None, root: str | os.PathLike | None = None) -> list[str]:
    """Prints a line for every run, here and in the store, the newest first; returns their names in that order."""
    places = Places(root, store)
    found = []
    for identity, local, stored in survey(places):
        manifests = [manifest for copies in (local, stored) for manifest, _ in copies.values() if manifest]
        newest, best_one = max(manifests, key=lambda one: (one.generation, one.name), default=None), best(manifests)
        saved = (newest or identity).created[:16].replace("T", " ")
        far = how_far(newest.step, newest.total_steps, newest.finished) if newest else "nothing saved yet"
        confirmed = confirmation_of(manifests)
        score = (f"score {confirmed.brief()}" if confirmed else f"best evaluation {best_one.score:.1f}, not confirmed"
                 if best_one and best_one.score is not None else "not evaluated")
        where = ("" if places.store is None else ", in the store" if newest and newest.name in stored else
                 ", comes with colab_rl" if identity.name == EXAMPLE else ", not in the store yet")
        found.append((saved, identity.name, f"{identity.name}: {identity.title}, {identity.algorithm}, {score}, "
                                            f"{far}, saved {saved}{where}"))
    if not found:
        print(f"no runs yet in {places.root}{f' or {places.store.place}' if places.store else ''}: "
              "01_train.ipynb begins one")
    found.sort(key=lambda run: run[0], reverse=True)
    for _, _, line in found:
        print(line)
    return [name for _, name, _ in found]


@checked
def choose_run(run: str, store: str = "", root: str | os.PathLike | None = None) -> tuple[str, str]:
    """Shows the runs there are; returns the one to look at and its store.

    That is the run of that name, or the one that was saved last if `run` is empty. If there is no run at all, it is the
    trained example that comes with the package. Raises UsageError if there are runs and none of that name, ColabRLError
    if `run` is empty and no run can be read.
    """
    run, place = run.strip(), session.connect(store) or ""
    names = show_runs(place or None, root)
    places = Places(root, place or None)
    own = [name for name in names if name != EXAMPLE]
    if not own and set(places.names()) <= {EXAMPLE}:
        unpack_example(places.root)
        print(f"so this shows {EXAMPLE}: not a run of yours but a trained example that comes with colab_rl")
        return EXAMPLE, "none"
    if not run and not names:  # `show_runs` has said of each what is wrong
        raise ColabRLError(f"there is no run to show: {', '.join(places.names())} cannot be read; nothing was changed; "
                           "restore a whole copy of what is damaged, or train another run with 01_train.ipynb")
    run = run or (own or names)[0]
    places.require(run)
    print(f"shown below: {run}")
    return run, place


@checked
def train_live(run: str, store: str = "", root: str | os.PathLike | None = None, *,
               env: EnvironmentSource | None = None, algo: str | type[Algorithm] | None = None, seed: int | None = None,
               settings: Mapping[str, Any] | None = None, **options: Any) -> TrainingResult:
    """`train` with a live plot in the cell's output; says how it ended and what to do next.

    run: empty for a name made of the environment, the algorithm and the seed. options: of `train`.
    """
    from colab_rl.training.request import DEFAULT_ENVIRONMENT
    from colab_rl.training.session import train

    run, env, settings = run.strip(), stripped(env), settings or {}
    of_cells = any(callable(one) and import_path(one) is None for one in (env, algo, settings.get("network")))
    algo = register_algorithm(algo) if isinstance(algo, type) else algo
    run = run_to_train(run, Places(root, store or None, make_store=True), env, algo, seed)
    target = one_setting(Config, "target_score", settings.get("target_score"))
    plot = Dispensable(LivePlot(run, goal=goal_of(env or DEFAULT_ENVIRONMENT, target)), "the live plot")
    try:
        result = train(run, store=store or None, root=root, watcher=plot, env=env, algo=algo, seed=seed,
                       settings=settings, **options)
    except BaseException:
        plot.close()
        raise
    confirmed = result.confirmed
    plot.close(f"checkpoint {result.generation}" + (f", {result.pending} pending" if result.pending else ""),
               confirmed.brief() if confirmed else "")
    print(result.summary())
    if result.problem:
        print(result.problem)
    if result.finished:
        shown = ("show it and film it in this notebook, since no other knows what its cells define" if of_cells else
                 "02_analyze.ipynb shows how it learned and how it walks, 03_render.ipynb films it")
        print(f"Next: {shown}; a larger TOTAL_STEPS trains it further.")
        offer_film(run, store or None, root, env)
    else:
        print("Next: Run all continues from here.")
    print(f"state_sha256={result.state_sha256}")
    return result
