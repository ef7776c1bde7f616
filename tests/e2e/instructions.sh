#!/usr/bin/env bash
# The instructions of a card, judged by the emulator (tests/gpu/instructions). The card is the PTX that nvcc made, interpreted;
# a wrong answer of each instruction is noticed, and said in what tests/gpu/run leaves.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
judge=$BUILD_FOLDER/gpu/judge ptx=$BUILD_FOLDER/tests/judge_ptx
[ -x "$ptx" ] && [ -x "$judge" ] || { skip 'no nvcc: nothing that could be a card'; finish; exit; }

says() { "$judge" "$2" > "$TMP/says" 2>&1; grep -qF -- "$1" "$TMP/says"; }
for seed in 1 2 3; do
    check "a card answers (seed $seed)" "$ptx" --write "$TMP/answers" $seed
    check "and right (seed $seed)" "$judge" "$TMP/answers"
done
check 'whose answers they are' says 'PTX of sm_90, seed 3' "$TMP/answers"
names=$("$judge" "$TMP/answers" | sed -n 's/^\[       OK \] //p')
count=$(echo "$names" | wc -l)
check 'as many as are declared' [ "$count" = "$(grep -c '^ *I([a-z]' tests/gpu/instructions/instructions.h)" ]

# the highest bit but one of the first word of an instruction's results is another
plant() { # NAME
    cp "$TMP/answers" "$TMP/wrong"
    local line text at byte; line=$(grep -abo "$1 [0-9][0-9]*$" "$TMP/answers" | head -1)
    text=${line#*:} at=$((${line%%:*} + ${#text} + 1 + 3)) # behind the line, the word's last byte
    byte=$(od -An -tu1 -j$at -N1 "$TMP/answers")
    printf "\\x$(printf %02x $((byte ^ 64)))" | dd of="$TMP/wrong" bs=1 seek=$at conv=notrunc status=none
}
noticed() { # NAME: it, and no other
    "$judge" "$TMP/wrong" > "$TMP/says" 2>&1; [ $? = 1 ] && grep -q "^\[  FAILED  \] $1\$" "$TMP/says" &&
        grep -q "^error: $1: thread 0, result 0: the card's is 0x" "$TMP/says" && [ "$(grep -c '^\[       OK \]' "$TMP/says")" = $((count - 1)) ]
}
for name in $names; do plant "$name"; check "a wrong $name" noticed "$name"; done
head -c 100000 "$TMP/answers" > "$TMP/short"
refuses 'half a file' 2 'ends within' "$judge" "$TMP/short"
refuses 'no file' 2 "can't open" "$judge" "$TMP/none"
refuses 'another file' 2 'no file of gpu/test_instructions' "$judge" Makefile
refuses 'no word' 2 'usage: judge FILE' "$judge"
refuses 'a file that can not be written' 2 "can't create" "$ptx" --write "$TMP/none/answers"

# tests/gpu/run with a card that is none: programs that say nothing, and the PTX for the instructions
tree=$TMP/tree fake=$TMP/fake
mkdir -p "$tree/kernels" "$tree/tests/gpu" "$fake/programs"
cp -r kernels/cuda "$tree/kernels"; cp tests/gpu/run "$tree/tests/gpu"
script() { cat > "$1"; chmod +x "$1"; }
echo 'echo "A card, 1, 2 MHz, 3 MHz"' | script "$fake/nvidia-smi"
for p in test_ops test_steps test_decoder test_sdpa; do echo ':' | script "$fake/programs/$p"; done
ln -s "$(realpath "$judge")" "$fake/programs/judge"
echo "exec $(realpath "$ptx") --write \"\$1\" 3" | script "$fake/programs/test_instructions"
run() { PATH=$fake:/usr/bin:/bin "$tree/tests/gpu/run" test "$fake/programs" build/libcantus_cuda.so; }
check 'a run' run
results=$tree/tests/gpu/results
check 'its line' grep -qE "^  test_instructions +$count passed$" "$results/test"
check 'its table' grep -qE '^    exp2_approx +131072 results, within 0[.][0-9]+ of the bound$' "$results/test"
plant mma_bf16
echo "cp $TMP/wrong \"\$1\"" | script "$fake/programs/test_instructions"
fails() { run; [ $? = 1 ]; }
check 'a run with a wrong answer' fails
check 'says so' grep -qE "^  test_instructions +$((count - 1)) passed, 1 FAILED$" "$results/test"
check 'says which' grep -q '^error: mma_bf16: thread 0, result 0' "$results/test"
check 'and keeps it' cmp "$TMP/wrong" "$results/answers"
finish
