"""Does a test notice that the host's code has been changed? Compiles the changed .c files, links each test that judges them
with these objects before the libraries, and runs it; the quick ones first.

The compiler, its flags and what to link come from the Makefile, in the environment.
"""
import os
import re
import shutil
import threading
import time

from trial import Failure, Workshop, cap

# {file: the tests that judge it}; _fast and _checked: on the doubles of tests/standin; others: of tests/unit
JUDGES = {
    "kernels/device.c": ["device_fast", "training_fast", "decoder_fast", "saver_fast", "device_checked"],
    "kernels/cuda/device.c": ["device_fast", "training_fast", "device_checked", "nccl_fast"],
    "kernels/cuda/nccl.c": ["nccl_fast"],
    "kernels/cuda/ranks.c": ["nccl_fast"],
    "kernels/cuda/gemm.c": ["gemm_fast", "gemm_file_fast", "gemm_linear_fast", "training_fast"],
    "kernels/cuda/linear.c": ["gemm_linear_fast", "training_fast"],
    "models/network.c": ["step", "models", "training_checked", "training_fast"],
    "models/network_run.c": ["step", "models", "second_opinion_fast", "training_checked", "training_fast", "ranks"],
    "models/reduce.c": ["ranks"],
    "models/weights.c": ["training_fast", "decoder_fast"],
    "models/decoder.c": ["decoder", "models", "decoder_fast", "decoder_checked"],
    "train/step.c": ["step", "training_checked", "training_fast", "train"],
    "train/saver.c": ["saver_fast"],
    "train/checkpoint.c": ["saver_fast", "checkpoint"],
    "kernels/check.c": ["check", "training_check_fast"],
    "kernels/cuda/algorithms.c": ["algorithms_fast"],
}
AMONG_RANKS = {"ranks"}  # of tests/mpi: processes that tests/mpi.sh starts
FLAVOUR = re.compile(r"_(fast|checked)$")
FAILED = "[  FAILED  ]"


class HostLaboratory(Workshop):
    def __init__(self, root, folder):
        super().__init__()
        self.root, self.folder = root, folder
        self.cc, self.cxx, self.build = os.environ["HOST_CC"].split(), os.environ["CXX"].split(), os.environ["HOST_BUILD"]
        self.link = {flavour: os.environ[f"HOST_LINK_{flavour}"].split() for flavour in ("fast", "checked", "unit")}
        self.seconds, self.objects = {}, {}

    def bench(self, name):
        at = os.path.join(self.folder, "host", name)
        os.makedirs(at)
        return at

    def compile(self, source, to, at):
        command = [*self.cc, "-g0", "-w", f"-I{self.root}", f"-I{self.root}/build/gen", f"-I{self.root}/tests", "-c", source, "-o", to]
        status, said = self.run(command, at)
        return (os.path.join(at, to), "") if status == 0 else (None, said)

    def once(self, known, name, make):
        """known[name], made by the first who asks."""
        with self.lock:
            guard = known.setdefault(name, [threading.Lock(), None])
        with guard[0]:
            if guard[1] is None:
                guard[1] = make()
        return guard[1]

    def command(self, name, program):
        return [f"{self.root}/tests/mpi.sh", "4", program] if name in AMONG_RANKS else [program]

    def time_of(self, name):
        """Seconds that the test of the unchanged code takes."""
        def measure():
            begun = time.monotonic()
            folder = "mpi" if name in AMONG_RANKS else "tests"
            status, said = self.run(self.command(name, f"{self.root}/{self.build}/{folder}/test_{name}"), self.root, preexec=cap)
            if status != 0:
                raise Failure(f"test_{name} fails without any mutant\n{said[-2000:]}")
            return time.monotonic() - begun
        return self.once(self.seconds, name, measure)

    def object_of(self, name):
        """The test's own object."""
        flavour = FLAVOUR.search(name)
        if flavour:
            return f"{self.root}/{self.build}/tests/standin/test_{name[:flavour.start()]}.o"

        def make():
            folder = "mpi" if name in AMONG_RANKS else "unit"
            path, said = self.compile(f"{self.root}/tests/{folder}/test_{name}.c", f"test_{name}.o", self.folder)
            if not path:
                raise Failure(f"test_{name}.c does not compile\n{said[-2000:]}")
            return path
        return self.once(self.objects, name, make)

    def noticed(self, name, objects, at):
        """How the test notices these objects; None: it does not."""
        flavour = FLAVOUR.search(name)
        libraries = [f"{self.root}/{word}" if word.endswith((".o", ".a")) else word
                     for word in self.link[flavour.group(1) if flavour else "unit"]]
        program = os.path.join(at, "test")
        status, said = self.run([*self.cxx, "-rdynamic", self.object_of(name), *objects, *libraries, "-o", program], at)
        if status != 0:
            raise Failure(f"linking test_{name} fails\n{said[-2000:]}")
        status, said = self.run(self.command(name, program), self.root, 4 * self.time_of(name) + 10, cap, FAILED)
        if status == 0:
            return None
        found = re.search(re.escape(FAILED) + r" (.+)", said)
        how = found.group(1).strip() if found else "no end" if status is None else "crash" if status < 0 else "another exit code"
        return f"test_{name}: {how}"

    def try_out(self, changed, at):
        """(verdict, how) of {path: text}: caught, survived, or refused by the compiler."""
        objects = []
        for path, text in changed.items():
            os.makedirs(os.path.join(at, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(at, path), "w", encoding="utf-8") as f:
                f.write(text)
            made, _ = self.compile(path, path.replace("/", "-") + ".o", at)
            if not made:
                return "refused", "by the compiler"
            objects.append(made)
        judges = [name for path in changed for name in JUDGES[path] if name not in AMONG_RANKS or shutil.which("mpirun")]
        if not judges:
            return "refused", "there is no mpirun to try it with"
        for name in dict.fromkeys(judges):
            found = self.noticed(name, objects, at)
            if found:
                return "caught", found
        return "survived", ""
