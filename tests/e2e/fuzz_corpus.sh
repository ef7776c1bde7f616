# fuzz_corpus.sh -- every input that fuzzing found worth keeping, through the same functions without a fuzzer: no
# promise broken, no signal, ten seconds each at most. BUILD_FOLDER says whose (tests/run sets it).
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
build=${BUILD_FOLDER:-build/release}
fed() { timeout 300 "$build/fuzz/$1" "tests/fuzz/corpus/$1"; }
for source in tests/fuzz/fuzz_*.c; do
    what=$(basename "$source" .c); what=${what#fuzz_}
    check "$what" fed "$what"
done
check 'no corpus without its fuzzer' diff <(ls tests/fuzz/corpus) <(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_//; s/\.c//')
finish
