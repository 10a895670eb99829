"""What has no identity: process state, streams, things that are used up by looking.

A table from type names to a reason and a remedy. Must not know how anything is described.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_mitosis.identity.names import module_of, qualname_of

if TYPE_CHECKING:
    from pytest_mitosis.identity.walk import Reader, Walk

RECIPE: Final = "Put its recipe in the dictionary and build it in the experiment."
LISTED: Final = "Put a list, a tuple or an array in the dictionary."
_STATE: Final = "process state, not a value"
_STREAM: Final = "used up by reading it, so it cannot be looked at"
_HANDLE: Final = "a handle of this process, not a value"
_PATH: Final = "Put the path in the dictionary, or file(...) to lock the content."

_WORK: Final = "work under way with caches inside, not a value"
_KINDS: Final[dict[str, tuple[str, str, str]]] = {
    "state": (
        _STATE,
        RECIPE,
        """
        _thread:lock _thread:LockType _thread:RLock _thread:_local threading:Thread
        threading:Condition threading:Event threading:Semaphore threading:Barrier threading:_RLock
        _thread:_ThreadHandle _thread:_localdummy
        queue:Queue _queue:SimpleQueue multiprocessing:SemLock multiprocessing:BaseProcess
        multiprocessing:Pool multiprocessing:BaseManager multiprocessing:Queue
        multiprocessing:BaseContext
        multiprocessing:Connection multiprocessing:_ConnectionBase multiprocessing:SharedMemory
        concurrent:Executor concurrent:Future asyncio:Future _asyncio:Future _asyncio:Task
        asyncio:AbstractEventLoop asyncio:Lock asyncio:Queue asyncio:Event asyncio:Semaphore
        os:_Environ subprocess:Popen
        logging:Logger logging:Handler logging:LoggerAdapter logging:Manager
        _contextvars:ContextVar _contextvars:Context _contextvars:Token
        builtins:ContextVar builtins:Context builtins:Token
        builtins:frame builtins:traceback builtins:cell builtins:PyCapsule sched:scheduler
        selectors:BaseSelector select:epoll select:poll ctypes:CDLL _ctypes:_CData
        joblib:Parallel dask:Client distributed:Client ray:ObjectRef multiprocess:Pool
        torch:Stream torch:Event""",
    ),
    "work": (_WORK, RECIPE, "pandas:BaseGroupBy pandas:BaseWindow pandas:Resampler"),
    "reference": (
        "a weak reference: what it points at may be gone",
        "Put the object itself there.",
        """
        weakref:ReferenceType weakref:ProxyType weakref:CallableProxyType weakref:WeakMethod
        weakref:WeakKeyDictionary weakref:WeakValueDictionary weakref:WeakSet weakref:finalize
        _weakrefset:WeakSet builtins:weakref builtins:weakproxy builtins:weakcallableproxy
        weakref:weakref _weakref:ReferenceType""",
    ),
    "stream": (
        _STREAM,
        LISTED,
        """
        builtins:generator builtins:coroutine builtins:async_generator
        builtins:async_generator_asend builtins:coroutine_wrapper builtins:callable_iterator
        numpy:flatiter numpy:nditer numpy:broadcast csv:reader _csv:reader csv:DictReader
        builtins:enumerate builtins:zip builtins:map builtins:filter builtins:reversed""",
    ),
    "handle": (
        _HANDLE,
        _PATH,
        """
        _io:_IOBase io:IOBase io:_IOBase io:StringIO io:BytesIO socket:socket _socket:socket
        tempfile:_TemporaryFileWrapper tempfile:TemporaryDirectory
        tempfile:SpooledTemporaryFile mmap:mmap zipfile:ZipFile tarfile:TarFile os:DirEntry
        posix:DirEntry posix:ScandirIterator shelve:Shelf dbm:_Database _csv:writer
        csv:DictWriter numpy:NpzFile
        pandas:HDFStore pandas:ExcelFile pandas:ExcelWriter h5py:HLObject netCDF4:Dataset
        zarr:Array zarr:Group tables:File pyarrow:NativeFile PIL:ImageFile
        sqlite3:Connection sqlite3:Cursor _sqlite3:Connection ssl:SSLSocket ssl:SSLContext
        http:HTTPConnection urllib:OpenerDirector requests:Session sqlalchemy:Engine
        sqlalchemy:Connection sqlalchemy:Session psycopg:Connection psycopg2:connection
        pymongo:MongoClient redis:Redis matplotlib:Figure matplotlib:Artist""",
    ),
}


def _refuser(reason: str, remedy: str) -> Reader:
    def refuse(walk: Walk, value: object, path: str) -> None:
        kind = type(value)
        name = f"{module_of(kind)}.{qualname_of(kind)}".removeprefix("builtins.")
        article = "an" if name.startswith(tuple("aeiou")) else "a"
        walk.refuse(path, f"is {article} {name}: {reason}", remedy)

    return refuse


REFUSED: Final[dict[str, Reader]] = {
    name: _refuser(reason, remedy)
    for reason, remedy, kinds in _KINDS.values()
    for name in kinds.split()
}
refuse_iterator: Final = _refuser(_STREAM, LISTED)
