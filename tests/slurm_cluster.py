"""A Slurm cluster of one node, this machine, for tests: daemons on free ports of the loopback, in their own folder.

The daemons are children that die with this process, whatever it dies of, so an interrupted run leaves none behind; and
a run that found some would not meet them, because folder, ports and key are new each time.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
MAX_ARRAY_SIZE = 6
CPUS = 4
_CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=20
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
MaxArraySize={max_array_size}
KillWait=2
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def _free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Cluster:
    """The running cluster; its commands (sbatch, squeue ...) are to be run with `environment`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.environment = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._daemons = []

    def start(self):
        """Start the daemons and return whether jobs can be submitted; not, if somebody took a port of ours."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        controller_port, node_port = _free_ports(2)
        text = _CONFIG.format(
            folder=self.folder,
            host=socket.gethostname().split(".")[0],
            user=getpass.getuser(),
            controller_port=controller_port,
            node_port=node_port,
            max_array_size=MAX_ARRAY_SIZE,
            cpus=CPUS,
        )
        (self.folder / "slurm.conf").write_text(text)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(64))
        key.chmod(0o600)
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
        self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        if not self._wait_until(lambda: (self.folder / "munge.socket").exists()):
            return False
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D", "-c")
        return self._wait_until(lambda: self.output_of("sinfo", "--noheader", "--format=%T").strip() == "idle")

    def output_of(self, *command):
        """Return what one of Slurm's commands prints, or nothing where it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout if done.returncode == 0 else ""

    def logs(self):
        """Return the end of what the daemons wrote."""
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in self.folder.glob("*.out"))

    def stop(self):
        """Cancel all jobs and stop the daemons."""
        if all(daemon.poll() is None for daemon in self._daemons):
            self.output_of("scancel", f"--user={getpass.getuser()}")
            self._wait_until(lambda: not self.output_of("squeue", "--noheader"), seconds=10)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons = []

    def _start(self, program, *options):
        path = shutil.which(program) or shutil.which(f"/usr/sbin/{program}")
        with open(self.folder / f"{program}.out", "w") as output:
            command = ["setpriv", "--pdeathsig", "KILL", path, *options]
            self._daemons.append(
                subprocess.Popen(
                    command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
                )
            )

    def _wait_until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end and all(daemon.poll() is None for daemon in self._daemons):
            if condition():
                return True
            time.sleep(0.1)
        return False


@contextlib.contextmanager
def running_cluster():
    """Yield a running Cluster; RuntimeError, with the daemons' logs, if none comes up."""
    logs = ""
    for _ in range(3):
        # Not in pytest's folder, whose name is too long for a socket.
        folder = tempfile.mkdtemp(prefix="slurm-")
        cluster = Cluster(folder)
        try:
            if cluster.start():
                yield cluster
                return
            logs = cluster.logs()
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)
    raise RuntimeError(f"Slurm does not start here:\n{logs}")
