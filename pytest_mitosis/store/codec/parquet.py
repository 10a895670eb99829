"""Tables as parquet, where that is exact; pyarrow is optional and only asked for here.

Exact means: the table read back has the same typed JSON and the same digests as the one written.
pandas's own comparison would let None pass for NaN, and -0.0 for 0.0.
"""

from __future__ import annotations

import io
import json
import warnings
from typing import IO, TYPE_CHECKING, Any

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec import arrays
from pytest_mitosis.store.codec.place import ROOT
from pytest_mitosis.store.sidecars import DigestSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Encoder, Json

# Older ones run pickles found in a file (CVE-2023-47248).
_SAFE_PYARROW = (14, 0, 1)


def exact(frame: Any, typed: Callable[[Encoder, Any, Place], dict[str, Json]]) -> memoryview | None:
    """Return the parquet file of a table; None if it would come back as another table."""
    if pyarrow() is None or _has_objects(frame):
        return None
    bare = frame.copy(deep=False)
    bare.attrs = {}
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bare.to_parquet(buffer, engine="pyarrow")
            buffer.seek(0)
            back = arrays.need("pandas").read_parquet(buffer, engine="pyarrow")
        same = _same(bare, back, typed)
    except Exception:  # any version of pyarrow may refuse anything; the other form is always there
        return None
    return buffer.getbuffer() if same else None


def _has_objects(frame: Any) -> bool:
    # Parquet would guess one type for them all.
    import numpy as np

    return any(isinstance(dtype, np.dtype) and dtype.kind == "O" for dtype in frame.dtypes)


def _same(left: Any, right: Any, typed: Callable[[Encoder, Any, Place], dict[str, Json]]) -> bool:
    from pytest_mitosis.store.codec.walk import Encoder

    first, second = Encoder(DigestSink()), Encoder(DigestSink())
    texts = [json.dumps(typed(first, left, ROOT)), json.dumps(typed(second, right, ROOT))]
    if texts[0] != texts[1]:  # as text: the number 1 equals 1.0 and True
        return False
    return not (first.pickled or first.unsaved or second.pickled or second.unsaved)


def pyarrow() -> Any:
    """Return pyarrow if it is installed and reads files safely, else None."""
    try:
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        return None
    version = tuple(int(part) for part in pa.__version__.split(".")[:3] if part.isdecimal())
    return pa if version >= _SAFE_PYARROW else None


def need_pyarrow(name: str) -> Any:
    """Return pyarrow; says what to install if a file needs it and it is absent."""
    found = pyarrow()
    if found is None:
        raise ResultError(f"{name} needs pyarrow to be loaded: pip install 'pyarrow>=14.0.1'")
    return found


def read(file: IO[bytes], name: str, dtypes: list[str]) -> Any:
    """Return the table of a parquet file, with the recorded types whatever pandas makes of it."""
    pd = arrays.need("pandas")
    need_pyarrow(name)
    frame = pd.read_parquet(file, engine="pyarrow")
    # pandas 2 has no "str": there such columns are objects, and astype would spell out the gaps.
    wrong = {
        number: wanted
        for number, (found, wanted) in enumerate(zip(frame.dtypes, dtypes, strict=True))
        if str(found) != wanted and (str(found), wanted) != ("object", "str")
    }
    if not wrong:
        return frame
    try:
        labels, frame.columns = frame.columns, pd.RangeIndex(len(dtypes))
        frame = frame.astype(wrong)
        frame.columns = labels
    except (TypeError, ValueError) as error:
        raise ResultError(
            f"{name} has column types that pandas {pd.__version__} lacks: "
            f"{', '.join(sorted(set(wrong.values())))}; use the pandas of the trial's environment"
        ) from error
    return frame


def write_arrow(values: Any) -> bytes:
    """Return the Arrow file of one column of pyarrow's own types."""
    pa = need_pyarrow("a column of pyarrow's types")
    # One chunk: how many there were is no part of the value.
    table = pa.table({"values": pa.array(values)}).combine_chunks()
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def read_arrow(file: IO[bytes], name: str) -> Any:
    """Return the column of an Arrow file as pandas' array."""
    table = need_pyarrow(name).ipc.open_file(file).read_all()
    return arrays.need("pandas").arrays.ArrowExtensionArray(table["values"])
