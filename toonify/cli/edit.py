"""`toonify edit`: latents moved along directions, mixed, or rendered by another generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toonify.cli.common import Settings, complain, examples, refuse_given, settings_of
from toonify.cli.edit_options import EditRequest
from toonify.cli.hfgi import check_edit_method
from toonify.cli.inverting import present
from toonify.cli.request import takes
from toonify.errors import ModelError
from toonify.utils.outputs import check_output

if TYPE_CHECKING:
    from toonify.editing.job import EditJob

EPILOG = examples(
    "toonify edit me.jpg -o smiling.jpg --direction smile",
    "toonify edit me.jpg -o strip.png --direction yaw --range -2:2",
    "toonify edit me.jpg -o all.png --attribute-strip",
    "toonify edit inverted/me.safetensors -o me.gif --direction sefa-4 --layers 0-5 --range 0:4",
    "toonify edit me.jpg -o older.png --encoder styleganex-inversion"
    " --direction directions.pt:age --strength 2",
    "toonify edit me.jpg -o mix.png --mix friend.jpg --layers 8-",
    "toonify edit me.jpg -o mix.png --mix friend.jpg --part hair --encoder e4e.pt --fusion ffhq/",
    "toonify edit me.jpg -o arcane.png --encoder styleganex-inversion --generator stylegan2-arcane",
    "toonify edit me.jpg -o smile.png --fit smiling/ serious/ --strength 1",
    "toonify edit car.jpg -o red.jpg --domain any --generator cars.pkl --direction sefa-2",
)


@takes(EditRequest)
def edit(ctx: typer.Context, request: EditRequest) -> None:
    """Edit a face: move along a direction, mix styles, or render with another generator.

    The photo stays what it is: the edit moves and changes its own pixels within the head, and
    strength 0 gives the photo back. A fine-tuned --generator alone transfers the photo into its
    domain, rendered. Strengths of sefa directions are in deviations of the generator's latents, of
    fitted ones in steps from the one folder to the other.
    """
    from toonify.stylize.jobs import photographs

    settings = settings_of(ctx)
    if request.list_:
        others = (param.name for param in ctx.command.params if param.name != "list_")
        refuse_given(ctx, "has no effect with --list", *(name for name in others if name))
        _print_names(settings)
        return
    output = request.check(ctx)
    for path in (request.source, request.mix, request.fusion):
        present(path)
    job = request.job(settings, output)
    for folder in job.fit or ():
        if folder.is_dir():  # what it holds besides photos is reported once, here
            photographs([folder], note=complain)
    check_output(output, job.inputs(), named=True)
    check_edit_method(ctx, request.method, job.hfgi_network, onto_photo=job.onto_photo)
    job.check()
    if not job.onto_photo or request.span is not None or request.attribute_strip:
        refuse_given(ctx, "is of one edited photo", "drop_metadata")
    if job.source is None:
        _write_direction(settings, job, output)
    else:
        _write_picture(settings, job, output, request)


def _write_direction(settings: Settings, job: EditJob, output: Path) -> None:
    """The direction from one folder's photos to another's, as a file."""
    from toonify.editing.directions import save_direction
    from toonify.editing.job import learnt_direction

    assert job.fit is not None
    positive, negative = job.fit
    vector = learnt_direction(job, settings.progress)
    save_direction(output, vector, positive=positive.name, negative=negative.name)
    record = {"output": str(output), "length": float(vector.norm())}
    settings.result(record, f"{positive} - {negative} -> {output}")


def _write_picture(settings: Settings, job: EditJob, output: Path, request: EditRequest) -> None:
    """The photo edited, once or along a range, or along all named directions."""
    from toonify.editing.job import attribute_sheet, edited
    from toonify.media.images import write_image

    record: dict[str, Any] = {"source": str(job.source), "output": str(output), "pictures": 1}
    if request.attribute_strip:
        write_image(output, attribute_sheet(job, settings.progress))
    else:
        done = edited(job, settings.progress)
        done.write(output, drop_metadata=request.drop_metadata)
        record |= {"pictures": len(done.pictures), "strengths": list(done.strengths)}
    settings.result(record, f"{job.source} -> {output}")


def _print_names(settings: Settings) -> None:
    from toonify.editing.named import shipped_directions

    named = shipped_directions()
    if named is None:
        raise ModelError("this installation has no named directions", hint="Install toonify again.")
    for name, about in named.about.items():
        low, high = about.holds
        record: dict[str, Any] = {"name": name, "unit": about.unit, "region": about.region}
        record |= {"layers": about.layers, "holds": [low, high], "usual": about.usual}
        holds = f"{low:g} to {high:g}, usual {about.usual:g}"
        settings.result(record, f"{name:<11} {holds:<20} 1: {about.unit} ({about.region})")
