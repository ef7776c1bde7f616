"""What may be wrong in a kernel, as changes of its text: each operator finds its places in the code of a .cu or .h file.

mutants_of(name, source) gives the same list each time, in the order of the text. Left out: comments and texts, directives
(but for constants that are defined), templates' parameters, casts, launch bounds, declarations of arrays, which another
compiler or another size would make no worse. The host's part stays in: a wrong launch is a mistake too.
"""
import re
from collections import namedtuple

# id: "layernorm.cu:57 barrier left out"; known_as: the same with the line's text for its number, which lives longer;
# begin, end: of the source; text: what comes there instead
Mutant = namedtuple("Mutant", "id known_as file begin end text")

BLANK = [  # what is never mutated
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"",
    r"^[ \t]*#(?![ \t]*define[ \t]+\w+[ \t]+[\d.]+\w*)[^\n]*",
    r"^[ \t]*#[ \t]*define[ \t]+\w+",
    r"\btemplate <[^>]*>",
    r"\b\w+_cast<[^>]*>",
    r"\bstatic_assert\([^;]*;",
    r"\b__launch_bounds__\([^)]*\)",
    r"\b(?:SHARED_ARRAY|DYNAMIC_SHARED)\([^;]*;",
    r"\benum \{[^}]*\}",  # sizes of blocks and tiles: others are as right
    r"\b(?!return)([a-z]\w*(?:<[^<>;]*>)? +[*&]?\w+)\[\w+\](?= =|[,;)])",  # of an array's declaration, or a parameter's
    r"(?<=, )\w+\[\w+\](?= = \{|;)",
    r"\b0(?=, stream,)",  # no dynamic shared memory; some does no harm
]
BARRIER = r"__syncthreads\(\);|__syncwarp\([^)]*\);|cp_async_wait<\d+>\(\);|cp_async_commit\(\);"
SWAPS = [  # (operator's name, pattern, what comes instead)
    ("barrier left out", BARRIER, ";"),
    ("<= for <", r"(?<= )<(?= )", "<="),
    ("< for <=", r"(?<= )<=(?= )", "<"),
    (">= for >", r"(?<= )>(?= )", ">="),
    ("> for >=", r"(?<= )>=(?= )", ">"),
    ("!= for ==", r"(?<= )==(?= )", "!="),
    ("== for !=", r"(?<= )!=(?= )", "=="),
    ("- for +", r"(?<= )\+(?= )", "-"),
    ("+ for -", r"(?<= )-(?= )", "+"),
    ("|| for &&", r"(?<= )&&(?= )", "||"),
    ("&& for ||", r"(?<= )\|\|(?= )", "&&"),
    ("| for &", r"(?<= )&(?= )", "|"),
    ("& for |", r"(?<= )\|(?= )", "&"),
    ("-= for +=", r"(?<= )\+=(?= )", "-="),
    ("= for +=", r"(?<= )\+=(?= )", "="),
    ("+= for -=", r"(?<= )-=(?= )", "+="),
    ("max for min", r"\bmin(?=\()", "max"),
    ("min for max", r"\bmax(?=\()", "min"),
    ("largest for smallest", r"\bfminf(?=\()", "fmaxf"),
    ("smallest for largest", r"\bfmaxf(?=\()", "fminf"),
    ("sign left out", r"(?<=[ (])-(?=[\w(])", ""),
    ("exit left out", r"\b(?:continue|break|return);", ";"),
    ("y for x", r"(?<=\w\.)(?<!threadIdx\.)(?<!blockDim\.)(?<!gridDim\.)x\b", "y"),
    ("x for y", r"(?<=\w\.)y\b", "x"),
    ("w for z", r"(?<=\w\.)z\b", "w"),
    ("z for w", r"(?<=\w\.)w\b", "z"),
]
NUMBER = re.compile(r"(?<![\w.])(0x[0-9a-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?)([uUfF]*)(?![\w.])")
NO_STATEMENT = re.compile(r"(?:return|continue|break|if|for|while|else|do|const|static|typedef|enum|using|struct)\b|__sync|cp_async_")
DECLARATION = re.compile(r"[a-z]\w*(?:<[^;>]*>)?(?:\s+[*&]*|\s*[*&]+\s*)\w+\s*(?:[=,;\[(]|$)")


def spaces(found):
    kept = found[1] if found.lastindex else ""
    return kept + re.sub(r"[^\n]", " ", found[0][len(kept):])


def blanked(source):
    """The source with what is not to be touched as spaces, but for a pattern's group; places stay where they are."""
    for pattern in BLANK:
        source = re.sub(pattern, spaces, source, flags=re.S | re.M)
    return source


def closing(code, at):
    """Where the bracket that opens at `at` closes."""
    pairs, depth = {"(": ")", "[": "]", "{": "}"}, 0
    opens, closes = code[at], pairs[code[at]]
    for i in range(at, len(code)):
        depth += (code[i] == opens) - (code[i] == closes)
        if depth == 0:
            return i
    raise ValueError(f"a bracket is not closed: {code[at:at + 60]!r}")


def swaps(code, _):
    heads = [range(m.start(), closing(code, m.end() - 1)) for m in re.finditer(r"\bfor \(", code)]
    for name, pattern, text in SWAPS:
        for m in re.finditer(pattern, code):
            if name[-2:] != "+=" or not any(m.start() in head for head in heads):  # a loop without end is found
                yield name, m.start(), m.end(), text


def numbers(code, _):
    for m in NUMBER.finditer(code):
        digits, suffix = m.groups()
        if digits.startswith("0x"):
            changed = hex(int(digits, 16) ^ 1)
        elif re.fullmatch(r"\d+", digits) and "f" not in suffix.lower():
            changed = "0" if digits == "1" else str(int(digits) + 1)
        elif float(digits) == 0:
            changed = "1.0"
        else:
            changed = f"({digits}{suffix} * 1.01{suffix})"
            suffix = ""
        yield f"{changed}{suffix} for {m.group()}", m.start(), m.end(), changed + suffix


def subscripts(code, source):
    for m in re.finditer(r"(?<=[\w\])])\[", code):
        end = closing(code, m.start())
        index = source[m.start() + 1:end]
        inner = index if re.fullmatch(r"[\w.]+", index) else f"({index})"
        for sign in "+-":
            yield f"index {sign} 1", m.start() + 1, end, f"{inner} {sign} 1"


def conditions(code, source):
    """But those that are one == or !=: there the operator is changed."""
    found = [("condition negated", m.end(), closing(code, m.end() - 1)) for m in re.finditer(r"\b(?:if|while) \(", code)]
    found += [("choice negated", first_of_expression(code, m.start()), m.start()) for m in re.finditer(r" \? ", code)]
    for name, begin, end in found:
        if not re.fullmatch(r"[^&|]* [=!]= [^&|]*", code[begin:end]):
            yield name, begin, end, f"!({source[begin:end]})"


def first_of_expression(code, at):
    """Where the condition before a `?` begins."""
    depth, i = 0, at
    while i > 0:
        c = code[i - 1]
        if c in ")]}":
            depth += 1
        elif c in "([{":
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and (c in ",;?:" or (c == "=" and code[i - 2] not in "=!<>" and code[i] != "=")):
            break
        i -= 1
    word = re.match(r"\s*(?:return\b\s*)?", code[i:at])
    return i + word.end()


def statements(code):
    """(begin, end) of the statements that end with `;`, heads of loops and conditions not among them."""
    begin, i = 0, 0
    while i < len(code):
        c = code[i]
        if c == "(" or c == "[":
            head = re.search(r"\b(?:if|for|while) $", code[max(0, i - 7):i])
            i = closing(code, i)
            if head:
                begin = i + 1
        elif c == "{" and re.search(r"[=(,]\s*$|\breturn\s*$", code[begin:i]):
            i = closing(code, i)
        elif c in "{}:" or (c == "e" and re.match(r"\belse\b", code[i - 3:i + 1])):
            begin = i + 1
        elif c == ";":
            begin += len(code[begin:i]) - len(code[begin:i].lstrip())
            yield begin, i + 1
            begin = i + 1
        i += 1


def left_out(code, _):
    for begin, end in statements(code):
        text = code[begin:end]
        if NO_STATEMENT.match(text) or DECLARATION.match(text) or text == ";":
            continue
        if re.search(r"[^=!<>]=[^=]|\+\+|--|\w\(", text):
            yield "statement left out", begin, end, ";"


def mutants_of(name, source):
    code, found, numbered = blanked(source), [], {}
    lines = source.split("\n")
    for operator in (swaps, numbers, subscripts, conditions, left_out):
        found += operator(code, source)
    mutants = []
    for what, begin, end, text in sorted(found, key=lambda f: (f[1], f[2], f[0])):
        line = source.count("\n", 0, begin) + 1
        text += "\n" * source.count("\n", begin, end)  # lines stay where they are
        id = f"{name}:{line} {what}"
        numbered[id] = numbered.get(id, 0) + 1
        if numbered[id] > 1:
            id += f" ({numbered[id]})"
        known_as = f"{name} | {id.split(' ', 1)[1]} | {lines[line - 1].strip()}"
        mutants.append(Mutant(id, known_as, name, begin, end, text))
    return mutants


def applied(source, mutant):
    return source[:mutant.begin] + mutant.text + source[mutant.end:]
