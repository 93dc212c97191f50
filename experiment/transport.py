"""Files as bytes, for machines that share none."""

from scnnb.files import replaced


def tree(folder):
    """All files in a folder and those below it, `{relative path: bytes}`.

    Args:
        folder: pathlib.Path; it need not exist.
    """
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def place(folder, files):
    """Put files into a folder, records last and never beside another model than their own.

    Args:
        folder: pathlib.Path, made where it is not there.
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
