#!/usr/bin/env bash
# make mutants: patches apply, explanations are of mutants that there are, and a few whose fate is known meet it.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
if ! command -v git > /dev/null; then skip "mutants: no git here"; finish; exit; fi
run=tests/mutants/run

check 'all patches apply, no explanation is stale' $run --check
$run --list > "$TMP/list"; $run --list > "$TMP/again"
check 'the same mutants each time' cmp "$TMP/list" "$TMP/again"
check 'no two of one name' test -z "$(sort "$TMP/list" | uniq -d)"
$run --list --number 20 --seed 3 | grep -v patch > "$TMP/drawn"
check 'as many as asked for' test "$(wc -l < "$TMP/drawn")" = 20
check 'others by another seed' test "$($run --list --number 20 --seed 4 | grep -v patch)" != "$(cat "$TMP/drawn")"
refuses 'a name that none has' 1 "no mutant's name holds 'nosuch'" $run --only nosuch

# a tree of its own, where the kernels have changed since
tree=$TMP/tree
mkdir -p "$tree/tests"
cp -r kernels models train "$tree"; cp -r tests/mutants "$tree/tests"
sed -i 's/(step->ring + t) % memory/(t + step->ring) % memory/' "$tree/kernels/cuda/memory.cu"
refuses 'a patch that no longer applies' 1 'memory-wrap-once.patch: does not apply' "$tree/$run" --check
cp kernels/cuda/memory.cu "$tree/kernels/cuda"
sed -i 's/settle(ct_stepper \*s) {/settle(ct_stepper *s) { \/* all *\//' "$tree/train/step.c"
refuses 'one of the host'"'"'s code' 1 'host/step-settled-by-one.patch: does not apply' "$tree/$run" --check
cp train/step.c "$tree/train"
echo '    memory.cu | < for <= | no such line' >> "$tree/tests/mutants/survivors"
refuses 'an explanation of no mutant' 1 'no mutant is: memory.cu | < for <= | no such line' "$tree/$run" --check

mutant() { # NAME ONLY "a row of the table"
    make mutants ONLY="$2" > "$TMP/out" 2> "$TMP/err"
    check "$1" grep -q "$3" <(tr -s ' ' < "$TMP/out")
    [ "$passed" = "$before" ] && tail -5 "$TMP/out" "$TMP/err"
    before=$passed
}
line_of() { grep -nF -- "$2" "kernels/cuda/$1" | head -1 | cut -d: -f1; }
if [ -x "$BUILD_FOLDER/tests/test_cuda_parity_fast" ] && [ "$BUILD_FOLDER" = build/release ]; then
    before=$passed #                                                                         caught survived explained identical refused
    mutant 'one that is caught' memory-wrap-once.patch                                      ' patches 1 0 0 0 0'
    mutant 'one of the host'"'"'s code' host/gemm-beta-0.patch                                 ' host 1 0 0 0 0'
    if [ -n "${ALL:-}" ]; then # tests/long/mutants.sh
        mutant 'one that is right' "cross_entropy.cu:$(line_of cross_entropy.cu 'if (lane == 0) loss[row] = 0;') 1 for 0" \
            ' cross_entropy.cu 1 0 1 0 0' # the number stored, and the lane that stores it
        mutant 'one that is no C++' "memory.cu:$(line_of memory.cu 'x += (b * tokens') = for +=" ' memory.cu 0 0 0 0 1'
    fi
else skip 'mutants: not built for the emulator'; fi
finish
