"""A real Slurm from nothing in a folder, on the loopback interface, ended by the ids it started.

Needs Debian's packages slurmctld, slurmd, slurm-client and munge, with accounting also slurmdbd and
mariadb-server; neither root, systemd, cgroups nor anybody's configuration. Used by tests and by
``benchmarks/slurm.py``.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
NEEDED_TO_ACCOUNT = ("slurmdbd", "mariadbd", "mariadb-install-db", "sacct", "sacctmgr")
PR_SET_PDEATHSIG = 1  # from linux/prctl.h
SYSTEM_PATH = "/usr/sbin:/sbin"
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={base}/munge.sock,cred_expire=10
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool-%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd-%n.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=3
MinJobAge=3600
SlurmdTimeout={node_timeout}
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=0,defer_batch=0
DefMemPerCPU=200
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=ALL State=UP PriorityTier=10 PreemptMode=OFF
"""
NODE = (
    "NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
    "RealMemory=8000 Gres=gpu:2 State=UNKNOWN"
)


ACCOUNTED = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={base}/munge.sock
"""
ACCOUNTING = """\
AuthType=auth/munge
AuthInfo=socket={base}/munge.sock
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
LogFile={base}/slurmdbd.log
PidFile={base}/slurmdbd.pid
"""


def missing(needed: tuple[str, ...] = NEEDED) -> list[str]:
    """The programs of Slurm that are not installed here."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_PATH])
    return [name for name in needed if shutil.which(name, path=path) is None]


@dataclass
class Cluster:
    """Several nodes with CPUs they need not have, each with its own daemon on this machine."""

    base: Path
    nodes: int = 2
    cpus: int = 4
    node_timeout: int = 300
    accounting: bool = False
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _accounts: tuple[int, int] = (0, 0)

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need to find it."""
        return {"SLURM_CONF": str(self.base / "slurm.conf")}

    def start(self) -> None:
        """Start everything and wait until all nodes take jobs."""
        self.base.mkdir(parents=True, exist_ok=True)
        self.base.chmod(0o755)
        (self.base / "state").mkdir()
        self._configure()
        self._start_munge()
        if self.accounting:
            self._start_accounting()
        self.start_controller()
        for number in range(self.nodes):
            self.start_node(number)
        self.until(lambda: self.idle() == self.nodes)

    def start_controller(self, *, knows_jobs: bool = True) -> None:
        """Start, or start again, the controller, with what it knew before or without."""
        self._start("slurmctld", "-D", "-i" if knows_jobs else "-c")

    def recover(self) -> None:
        """Start a controller that was killed, whose jobs and nodes are as it last saved them."""

        def is_up() -> bool:
            nodes = f"nodename=n[0-{self.nodes - 1}]"
            self.run("scontrol", "update", nodes, "state=RESUME", check=False)
            return self.idle() == self.nodes

        self.start_controller()
        self.until(lambda: "error" not in self.run("squeue", "-h", check=False))
        self.empty()
        self.until(is_up)

    def kill_controller(self) -> None:
        """End the controller at once."""
        self._kill("slurmctld")

    def start_node(self, number: int) -> None:
        """Start, or start again, the daemon of a node."""
        self._start("slurmd", "-D", "-N", f"n{number}")

    def kill_node(self, number: int) -> None:
        """End the daemon of a node at once, and all it started there: the machine is gone."""
        daemon = self.processes.pop(f"slurmd n{number}")
        for pid in [daemon.pid, *self._step_daemons(number)]:
            for one in [pid, *_descendants(pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
        daemon.wait()

    def run(self, *command: str, check: bool = True) -> str:
        """What a command of Slurm's prints; unchecked also what it complains of."""
        done = subprocess.run(
            command, env=self._variables(), capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def until(self, condition, seconds: float = 60.0) -> None:
        """Return once ``condition()`` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = [
                    f"{f.name}:\n{f.read_text('utf-8', 'replace')[-1500:]}"
                    for f in self.base.glob("*.log")
                ]
                now = [self.run("sinfo", "-Nl", check=False), self.run("squeue", "-a", check=False)]
                raise RuntimeError("\n".join(["this never came about", *now, *logs]))
            time.sleep(0.05)

    def waiting(self) -> int:
        """How many tasks wait to start."""
        return len(self.run("squeue", "-h", "-r", "-p", "main", "-t", "PD").splitlines())

    def empty(self) -> None:
        """Cancel all jobs and wait until none is left."""
        self.run("scancel", "-f", "-u", getpass.getuser(), check=False)
        self.run("scancel", "-f", "-s", "KILL", "-u", getpass.getuser(), check=False)
        self.until(lambda: not self.run("squeue", "-h").strip())

    def stop(self) -> None:
        """End every process that was started here, and what jobs left running."""
        steps = [pid for number in range(self.nodes) for pid in self._step_daemons(number)]
        for pid in [one for step in steps for one in (step, *_descendants(step))]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in reversed(list(self.processes.values())):
            process.kill()
            process.wait()
        self.processes.clear()

    def _kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def idle(self) -> int:
        """How many nodes take jobs."""
        found = self.run("sinfo", "-h", "-t", "idle", "-p", "main", "-o", "%D", check=False).strip()
        return int(found) if found.isdecimal() else 0

    def _configure(self) -> None:
        ports = _free_ports(self.nodes + 3)
        host = socket.gethostname().partition(".")[0]
        nodes = "\n".join(
            NODE.format(number=number, host=host, port=ports[number + 1], cpus=self.cpus)
            for number in range(self.nodes)
        )
        text = CONFIGURATION.format(
            base=self.base,
            host=host,
            user=getpass.getuser(),
            ports=ports,
            nodes=nodes,
            node_timeout=self.node_timeout,
        )
        if self.accounting:
            self._configure_accounting(host, *ports[-2:])
            text += ACCOUNTED.format(base=self.base, port=ports[-1])
        (self.base / "slurm.conf").write_text(text)
        gpus = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
        (self.base / "gres.conf").write_text(gpus)

    def _configure_accounting(self, host: str, database: int, port: int) -> None:
        password, self._accounts = secrets.token_hex(16), (database, port)
        text = ACCOUNTING.format(
            base=self.base,
            host=host,
            user=getpass.getuser(),
            port=port,
            database=database,
            password=password,
        )
        with (self.base / "slurmdbd.conf").open("w") as file:
            (self.base / "slurmdbd.conf").chmod(0o600)
            file.write(text)
        own = "slurm@'127.0.0.1'"
        (self.base / "accounts.sql").write_text(
            "CREATE DATABASE slurm;\n"
            f"CREATE USER {own} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON slurm.* TO {own};\n"
        )

    def _start_accounting(self) -> None:
        """A database with nothing in it, and the daemon that writes to it."""
        user = f"--user={getpass.getuser()}"
        self.run(
            *("mariadb-install-db", "--no-defaults", f"--datadir={self.base}/accounts", user),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        )
        self._start(
            *("mariadbd", "--no-defaults", f"--datadir={self.base}/accounts", user),
            *(f"--socket={self.base}/accounts.sock", f"--pid-file={self.base}/accounts.pid"),
            *("--bind-address=127.0.0.1", f"--port={self._accounts[0]}", "--skip-name-resolve"),
            *(f"--init-file={self.base}/accounts.sql", "--innodb-flush-log-at-trx-commit=0"),
        )
        self.until(lambda: _listens(self._accounts[0]))
        self._start("slurmdbd", "-D")
        self.until(lambda: _listens(self._accounts[1]))
        self.run("sacctmgr", "-i", "add", "cluster", "tests")

    def _start_munge(self) -> None:
        key = self.base / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        self._start(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--socket={self.base}/munge.sock",
            f"--pid-file={self.base}/munged.pid",
            f"--seed-file={self.base}/munge.seed",
            f"--log-file={self.base}/munged.log",
        )
        self.until(lambda: (self.base / "munge.sock").exists())

    def _start(self, *command: str) -> None:
        name = f"{command[0]} {command[-1]}" if command[0] == "slurmd" else command[0]
        with (self.base / f"{name.replace(' ', '-')}.out").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                command,
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def _variables(self) -> dict[str, str]:
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_PATH])
        return {**os.environ, **self.environment, "PATH": path}

    def _step_daemons(self, number: int) -> list[int]:
        """The processes slurmstepd of a node: each is the parent of one job's."""
        ours, name = str(self.base).encode(), f"SLURMD_NODENAME=n{number}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal() or b"slurmstepd" not in _read(folder / "cmdline"):
                continue
            below = _descendants(int(folder.name))
            if ours in _read(folder / "environ") and any(
                name in _read(Path(f"/proc/{pid}/environ")) for pid in below
            ):
                found.append(int(folder.name))
        return found


def _read(file: Path) -> bytes:
    with contextlib.suppress(OSError):
        return file.read_bytes()
    return b""


def _end_with_parent() -> None:
    """A session that is killed leaves no daemon behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    children: Mapping[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), ()):
            found.append(child)
            queue.append(child)
    return found


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
