"""The command `leaf push`."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leaf.cli.options import AsJson, say_line
from leaf.errors import LeafError


def push(  # noqa: D417 - `AsJson` says what it is
    run_folder: Annotated[Path, Parameter(name="RUN")],
    /,
    *,
    to: str,
    what: str = "leaf",
    adapter: Annotated[bool, Parameter(negative=())] = False,
    private: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json_: AsJson = False,
) -> None:
    """Put a trained student onto the Hugging Face hub, with its model card and scores.

    The token is that of `hf auth login` or HF_TOKEN.

    Args:
        run_folder: What `leaf run` wrote.
        to: The repository: OWNER/NAME. It is made where it is not there.
        what: Which student: leaf, its baseline, or an arm that the recipe names.
        adapter: Its LoRA adapters alone, in place of the merged model.
        private: Make the repository private.
        dry_run: Say what would go there, and send nothing.
    """
    from leaf.share.hub import prepare
    from leaf.share.hub import push as send

    upload = prepare(run_folder, to, what, adapter=adapter)
    address = None
    if not dry_run:
        try:
            address = send(upload, private=private)
        except Exception as error:
            first = str(error).strip().partition("\n")[0]
            raise LeafError(f"{to}: the hub did not take it: {first}") from None
    if json_:
        names = [*(file.as_posix() for file in upload.files), "README.md"]
        about = {"to": to, "files": names, "bytes": upload.size, "card": upload.card}
        print(json.dumps({**about, "address": address}, indent=1))
        return
    for file in upload.files:
        say_line(f"{(upload.folder / file).stat().st_size:>14,}  {file.as_posix()}")
    say_line(f"{len(upload.card.encode()):>14,}  README.md (the model card)")
    if address is None:
        say_line(f"Nothing was sent. The same without --dry-run sends it to {to}.")
    else:
        say_line(f"sent:     {address}")
