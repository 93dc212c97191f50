"""Read and write folders as bytes, to copy them between machines."""

from scnnb.files import replaced


def tree(folder):
    """All files in a folder and in the folders below it, `{relative path: bytes}`.

    Args:
        folder: pathlib.Path; if it does not exist, there are no files.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def place(folder, files):
    """Write files into a folder.

    Records are written last. So a killed run never leaves a record beside the model of another.

    Args:
        folder: pathlib.Path, created if it does not exist.
        files: `{relative path: bytes}`.
    """
    records = {name for name in files if name.endswith(".json")}
    for name in records:
        if f"{name.removesuffix('.json')}.keras" in files:
            (folder / name).unlink(missing_ok=True)
    for name in [*sorted(files.keys() - records), *sorted(records)]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with replaced(folder / name) as partial:
            partial.write_bytes(files[name])
