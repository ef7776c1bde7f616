"""The shape of JSON on stdin: a line "path: type" for each field, lists as [], once each, sorted. With --values the value too.
With --documented FILE: fails when a field's name is not in the file (as `name`)."""
import json
import sys

FREE = {  # objects whose keys are data, not fields
    "measures", "difference", "ops", "stages", "environment", "splits", "memory_bytes",
    "config", "files", "shape"}


def walk(value, path, name, out):
    if isinstance(value, dict):
        for key, child in value.items():
            free = name in FREE
            walk(child, f"{path}.{'*' if free else key}", key, out)
    elif isinstance(value, list):
        for child in value:
            walk(child, path + "[]", name, out)
    else:
        kind = "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
        out.add(f"{path}: {kind}" + (f" {value}" if "--values" in sys.argv else ""))


lines = set()
walk(json.load(sys.stdin), "", "", lines)
if "--documented" in sys.argv:
    text = open(sys.argv[sys.argv.index("--documented") + 1]).read()
    missing = {part.strip("[]") for line in lines for part in line.split(":")[0].split(".") if part.strip("[]") not in ("", "*")}
    missing = sorted(m for m in missing if f"`{m}`" not in text)
    print(f"not documented: {', '.join(missing)}" if missing else "all documented")
    sys.exit(1 if missing else 0)
print("\n".join(sorted(lines)))
