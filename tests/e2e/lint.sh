# lint.sh -- the house rules: this tree keeps them, and a file that breaks one is named, with line and reason.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
if ! command -v git > /dev/null || ! git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
    skip "lint: no git here"; finish; exit
fi
check 'this tree' third_party/lint
tree=$TMP/tree
rm -rf "$tree"; mkdir -p "$tree"/third_party "$tree"/core/music "$tree"/kernels/cpu "$tree"/kernels/cuda "$tree"/models "$tree"/train
cp third_party/lint "$tree/third_party/"; cp .clang-format "$tree/"
cd "$tree" || exit 1
git init -q . && git config core.autocrlf false
lint() { git add -A . && third_party/lint > "$TMP/lint.log"; }

# a tree that keeps all rules
cat > core/good.h << 'END'
/* good.h -- a header. */
#ifndef CT_CORE_GOOD_H
#define CT_CORE_GOOD_H

#define CT_MOST 3
typedef enum ct_kind { CT_KIND_ONE, CT_KIND_TWO } ct_kind;
typedef struct ct_pair {
    int *a, *b;
} ct_pair;
typedef int (*ct_function)(const int *);
int ct_good(int x);

#endif
END
cat > core/good.c << 'END'
/* good.c -- see good.h. */
#include "core/good.h"

#include <smf.h>

static int local(int x) {
    return x; /* NOLINT(misc-a,misc-b): for the test */
}

int ct_good(int x) {
    return local(x);
}
END
check 'a tree that keeps them' lint

# breaks PATH LINE "message" 'contents': the file alone is found, at that line
breaks() {
    local path=$1 line=$2 message=$3
    printf "$4" > "$path"
    if lint; then failed=$((failed + 1)); echo "FAILED: $path passes; expected $message"
    elif grep -qF -- "$path:$line: $message" "$TMP/lint.log" && ! grep -v "^$path:" "$TMP/lint.log" | grep -q '^[a-z/_]*\.[a-z]*:'; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED: $path:$line: expected $message; found:"; cat "$TMP/lint.log"; fi
    rm "$path"
}
C='/* x.c -- for the test. */\n'
guarded() { printf '%s' "/* x.h -- for the test. */\\n#ifndef $1\\n#define $1\\n\\n$2\\n\\n#endif\\n"; }
# who includes whom
breaks core/x.c 2 '"models/model.h" is not to be included here' "$C"'#include "models/model.h"\n'
breaks core/x.c 2 '"core/music/piece.h" is not to be included here' "$C"'#include "core/music/piece.h"\n'
breaks kernels/cpu/x.c 2 '"core/data/dataset.h" is not to be included here' "$C"'#include "core/data/dataset.h"\n'
breaks models/x.c 2 '"train/train.h" is not to be included here' "$C"'#include "train/train.h"\n'
breaks train/x.c 2 '"infer/render.h" is not to be included here' "$C"'#include "infer/render.h"\n'
breaks models/x.c 2 "<smf.h> is included in core/good.c already" "$C"'#include <smf.h>\n'
# calls
breaks core/x.c 3 'sprintf(): use snprintf' "$C"'static void f(char *to) {\n    sprintf(to, "x");\n}\n'
breaks core/x.c 3 'rand(): use core/rng.h' "$C"'static int f(void) {\n    return rand();\n}\n'
breaks train/x.c 3 'exit(): only core/main.c may end the process' "$C"'static void f(void) {\n    exit(1);\n}\n'
# names
breaks core/x.c 2 'open_it(): static, or named ct_ and declared in a header' "$C"'int open_it(int x) {\n    return x;\n}\n'
breaks core/x.c 2 'ct_lost(): no header declares it; make it static' "$C"'int ct_lost(int x) {\n    return x;\n}\n'
breaks core/x.c 2 'main(): static, or named ct_' "$C"'int main(void) {\n    return 0;\n}\n'
breaks core/x.h 5 'typedef pair: types in headers begin with ct_' "$(guarded CT_CORE_X_H 'typedef struct pair {\n    int a;\n} pair;')"
breaks core/x.h 5 'typedef ct_handle: of a pointer' "$(guarded CT_CORE_X_H 'typedef struct ct_thing *ct_handle;')"
breaks core/x.h 5 'typedef call: types in headers begin with ct_' "$(guarded CT_CORE_X_H 'typedef void (*call)(int);')"
breaks core/x.h 5 'macro MOST: macros in headers begin with CT_' "$(guarded CT_CORE_X_H '#define MOST 3')"
breaks core/x.h 5 'enum constant TWO: constants in headers begin with CT_' "$(guarded CT_CORE_X_H 'enum { CT_ONE = 1, TWO };')"
breaks core/music/x.h 1 'include guard: expected CT_MUSIC_X_H' "$(guarded CT_CORE_X_H 'int ct_x(void);')"
# kernels
breaks kernels/cuda/x.cu 3 '__shared__: use SHARED_ARRAY' "$C"'void f() {\n    __shared__ float x[4];\n}\n'
breaks kernels/cuda/x.cu 2 '"models/model.h" is not to be included here' "$C"'#include "models/model.h"\n'
# text
breaks core/x.c 3 'tab' "$C"'static void f(void) {\n\treturn;\n}\n'
breaks core/x.c 2 'a note left over' "$C"'/* TO''DO: all of it */\n'
breaks core/x.c 2 'silences a check without saying which and why' "$C"'static int x; /* NOLINT */\n'
breaks core/x.c 2 'silences a check without saying which and why' "$C"'/* cppcheck-suppress unusedVariable */\nstatic int x;\n'
breaks core/x.c 1 'no opening comment' 'static int x;\n'
breaks core/x.c 2 'trailing space' "$C"'static int x; \n'
breaks notes.md 1 'a path of one machine' 'see /ho''me/me/notes\n'
if command -v clang-format > /dev/null; then breaks core/x.c 2 'not formatted' "$C"'static int x;static int y;\n'; else skip 'lint: no clang-format'; fi
finish
