"""``callsheet new``: a plugin to begin from, which works as it is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from callsheet.cli.examples import examples
from callsheet.cli.tables import echo


@click.command(
    epilog=examples(
        ("callsheet new follow_tasks --folder plugins", "plugins/follow_tasks.py, with all that a plugin needs"),
        ("callsheet new follow_tasks --legacy", "the same in the form of shotgunEvents, which runs there too"),
    )
)
@click.argument("name")
@click.option("--legacy", is_flag=True, help="In the form of shotgunEvents: registerCallbacks(reg).")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    show_default=True,
    help="Where to put it: one of the plugin folders of a configuration.",
)
def command(*, name: str, legacy: bool, folder: Path) -> None:
    """Write a commented plugin that works as it is.

    It logs each change of a task's status, of which the pretend site of `callsheet sandbox --activity 2` has plenty. NAME becomes
    the plugin's name and NAME.py its file; a file that is there already is left alone.
    """
    file = folder / f"{_checked(name)}.py"
    text = (files("callsheet.cli") / "templates" / ("legacy.txt" if legacy else "plugin.txt")).read_text("utf-8")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise click.UsageError(f"{file} is there already and was left as it is. Choose another NAME, or remove it first.") from None
    except OSError as error:
        raise click.UsageError(f"{file} can't be written: {error.strerror}. Choose another --folder.") from error
    echo(f"Wrote {file}. A daemon with {folder} among its plugin folders takes it up at once; `callsheet plugins` shows it.")


def _checked(name: str) -> str:
    """The name without ``.py``. Raises click.BadParameter for one that would not be found as a plugin."""
    stem = name.removesuffix(".py")
    if not stem or stem.startswith(".") or Path(stem).name != stem:
        raise click.BadParameter(f"{name!r} is not a plugin's name: give a file name that begins with no dot, and a --folder.")
    return stem
