"""Does a test notice that kernels have been changed? Builds what the change concerns, in a copy of kernels/cuda of its own,
and runs the parity tests of its ops: in the checked flavour, then in the fast one.

The compiler, its flags and what to link come from the Makefile, in the environment.
"""
import os
import re
import resource
import signal
import subprocess
import threading
import time

FOLDER = "kernels/cuda"
MACHINE = ("builtins.h", "cuda.h", "machine.h", "platform.h")  # what kernels run on: not theirs
MORE_TESTS = {op: [op, op + "_bf16", "rows_alone"] for op in ("linear_rows", "attention_decode")}
FLAVOURS = ("checked", "fast")
MEMORY = 8 << 30  # bytes that a test may write to; what is planned on paper takes addresses alone


class Stopped(Exception):
    """The user has had enough."""


class Failure(Exception):
    """Nothing can be said of mutants here."""


class Unit:
    """A .cu file: the headers of the folder that it includes, the ops that show what it does, and what else has to be
    built with it when they change."""

    def __init__(self, name, source):
        self.name, self.source = name, source
        self.headers = set()
        self.own_ops = re.findall(r"^CT_CUDA(?:_REAL)?\((\w+)\)", source, re.M)
        self.offers = re.findall(r"^ct_status (\w+)\(", source, re.M)  # host functions for other .cu files
        self.helpers, self.ops = [], list(self.own_ops)

    def compiled_from(self, names):
        return self.name in names or self.headers & names


def units_of(sources):
    def headers_of(source):
        found = set()
        for name in re.findall(rf'#include "{FOLDER}/(\w+\.h)"', source):
            found |= {name} | headers_of(sources.get(name, ""))
        return found

    units = [Unit(name, source) for name, source in sorted(sources.items()) if name.endswith(".cu")]
    for unit in units:
        unit.headers = headers_of(unit.source)
    for helper in units:
        for unit in units:
            if unit is not helper and any(re.search(rf"\b{f}\(", unit.source) for f in helper.offers):
                unit.helpers.append(helper)
                helper.ops += unit.own_ops
    return units


def cap():
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Workshop:
    """Runs compilers and tests, several at once, and stops them."""

    def __init__(self):
        self.lock, self.running, self.stopped = threading.Lock(), set(), False

    def stop(self):
        self.stopped = True
        with self.lock:
            for process in self.running:
                self.kill(process)

    @staticmethod
    def kill(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def run(self, command, at, limit=None, preexec=None, enough=None):
        """Exit status (None: ran into the limit) and what it said, up to a line that holds `enough`."""
        if self.stopped:
            raise Stopped()
        said, expired = [], threading.Event()
        with subprocess.Popen(command, cwd=at, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              start_new_session=True, preexec_fn=preexec, text=True, errors="replace") as process:
            with self.lock:
                self.running.add(process)
            clock = threading.Timer(limit or 1e6, lambda: (expired.set(), self.kill(process)))
            clock.start()
            try:
                for line in process.stdout:
                    said.append(line)
                    if enough and enough in line:
                        self.kill(process)
                        break
                process.wait()
            finally:
                clock.cancel()
                with self.lock:
                    self.running.discard(process)
        if self.stopped:
            raise Stopped()
        return None if expired.is_set() else process.returncode, "".join(said)


class Laboratory(Workshop):
    """Where mutants are built and tried, several at once."""

    def __init__(self, root, folder):
        super().__init__()
        self.root, self.folder = root, folder
        self.cxx = os.environ["CXX"].split()
        self.flags = {flavour: os.environ[f"FLAGS_{flavour}"].split() + ["-g0", "-w", "-I" + root] for flavour in FLAVOURS}
        self.link = {flavour: os.environ[f"LINK_{flavour}"].split() for flavour in FLAVOURS}
        self.tests = {flavour: os.path.join(root, os.environ[f"TEST_{flavour}"]) for flavour in FLAVOURS}
        self.sources = {name: open(os.path.join(root, FOLDER, name), encoding="utf-8").read()
                        for name in sorted(os.listdir(os.path.join(root, FOLDER))) if name.endswith((".cu", ".h"))}
        self.units = units_of(self.sources)
        self.seconds, self.originals = {}, {}
        self.bench("original")

    def mutated(self):
        """The names of the files that are mutated."""
        return [name for name in self.sources if name not in MACHINE]

    def bench(self, name):
        """A copy of the kernels."""
        at = os.path.join(self.folder, name)
        os.makedirs(os.path.join(at, FOLDER))
        for file, source in self.sources.items():
            self.write(at, file, source)
        return at

    @staticmethod
    def write(at, file, source):
        with open(os.path.join(at, FOLDER, file), "w", encoding="utf-8") as f:
            f.write(source)

    # ------------------------------------------------------------ building
    def compile(self, unit, flavour, at):
        """The path of the object, None where the compiler refuses."""
        to = f"{unit.name}.{flavour}.o"
        status, _ = self.run([*self.cxx, *self.flags[flavour], "-x", "c++", "-c", f"{FOLDER}/{unit.name}", "-o", to], at)
        return os.path.join(at, to) if status == 0 else None

    def is_original(self, unit, flavour, path):
        """Is the object that of the unchanged kernel, byte by byte?"""
        with self.lock:
            guard = self.originals.setdefault((unit.name, flavour), [threading.Lock(), None])
        with guard[0]:
            if guard[1] is None:
                own = self.compile(unit, flavour, os.path.join(self.folder, "original"))
                if not own:
                    raise Failure(f"{unit.name} does not compile")
                guard[1] = open(own, "rb").read()
        return guard[1] == open(path, "rb").read()

    # ------------------------------------------------------------ testing
    def time_of(self, flavour, test):
        """Seconds that the test of the unchanged kernels takes."""
        with self.lock:
            guard = self.seconds.setdefault((flavour, test), [threading.Lock(), None])
        with guard[0]:
            if guard[1] is None:
                begun = time.monotonic()
                status, said = self.run([self.tests[flavour], test], self.root, preexec=cap)
                if status != 0 or "1 test(s) run" not in said:
                    raise Failure(f"{self.tests[flavour]} {test} fails without any mutant\n{said[-2000:]}")
                guard[1] = time.monotonic() - begun
        return guard[1]

    def noticed(self, objects, ops, flavour, at):
        """How the tests of the ops notice these objects; None: they don't."""
        program = os.path.join(at, "test")
        test, *libraries = [os.path.join(self.root, word) if word.endswith((".o", ".a")) else word for word in self.link[flavour]]
        status, said = self.run([*self.cxx, test, *objects, *libraries, "-o", program], at)
        if status != 0:
            raise Failure(f"linking fails\n{said[-2000:]}")
        for op in ops:
            for name in MORE_TESTS.get(op, [op, op + "_bf16"]):
                limit = 10 * self.time_of(flavour, name) + 2
                status, said = self.run([program, name], at, limit, cap)
                if status != 0:
                    return how(status, said)
        return None

    def try_out(self, changed, at):
        """(verdict, how) of {file: text} in a bench's copy: caught, survived, identical or refused by the compiler."""
        for file, source in changed.items():
            self.write(at, file, source)
        try:
            return self.verdict(changed, at)
        finally:
            for file in changed:
                self.write(at, file, self.sources[file])

    def function_of(self, file, source):
        """The name of the function in which the first change is."""
        before = os.path.commonprefix([source, self.sources[file]])
        heads = [re.search(r"\b(?!__)\w+(?=\()", line) for line in re.findall(r"^[a-z_].*", before, re.M)]
        return next((head.group() + "(" for head in reversed(heads) if head), file)

    def verdict(self, changed, at):
        touched = [u for u in self.units if u.compiled_from(set(changed))]
        groups = [[u, *(h for h in u.helpers if h in touched)] for u in touched if u.own_ops]
        groups += [[u] for u in touched if not u.own_ops and not any(u in g for g in groups)]
        changed = [self.function_of(file, source) for file, source in changed.items()]
        groups.sort(key=lambda g: (not any(f in g[0].source for f in changed),  # who names what is changed notices first
                                   sum(self.time_of("checked", op) for op in g[0].ops)))
        identical = True
        for flavour in FLAVOURS:
            for group in groups:
                objects = [self.compile(unit, flavour, at) for unit in group]
                if None in objects:
                    return "refused", "by the compiler"
                if all(self.is_original(unit, flavour, path) for unit, path in zip(group, objects)):
                    continue
                identical = identical and flavour != "fast"
                found = self.noticed(objects, group[0].ops, flavour, at)
                if found:
                    return "caught", found
        return ("identical", "to the original's code") if identical else ("survived", "")


KINDS = re.compile(r"^[^:\n]+: ([a-z]+(?:-[a-z]+)*): .*\[", re.M)


def how(status, said):
    report = KINDS.search(said)
    if report:
        return report.group(1)
    if status is None:
        return "no end"
    if status < 0:
        return "crash"
    return "other bytes in another order" if "other bytes than in" in said else "wrong numbers"
