#!/usr/bin/env bash
# The tests of the ops under each instruction set of the cpu backend, and with our own loops in place of oneDNN.
set -u
build=$(dirname "$CANTUS"); [ -d "$build/release" ] && build=$build/release
passed=0 failed=0 skipped=0

run() { # ISA GEMM TEST
    out=$(CANTUS_ISA=$1 CANTUS_GEMM=$2 "$build/tests/$3" 2>&1); status=$?
    if grep -q 'this machine does not have it' <<< "$out"; then
        echo "skipped: $3 with CANTUS_ISA=$1: this machine does not have it"; skipped=$((skipped + 1)); return
    fi
    ok=$(grep -c '^\[       OK \]' <<< "$out")
    passed=$((passed + ok))
    if [ $status -ne 0 ] || [ "$ok" -eq 0 ]; then
        failed=$((failed + 1)); echo "$3 with CANTUS_ISA=$1 CANTUS_GEMM=$2:"; echo "$out"
    fi
}

for isa in avx512 avx2 base; do
    for gemm in library own; do
        [ $isa.$gemm = avx512.library ] || run $isa $gemm test_ops_parity
    done
    run $isa library test_ops_sample
    run $isa own test_ops_invariance
done

# an instruction set that does not exist is said, and the run goes on with another
if out=$(CANTUS_ISA=mmx "$build/tests/test_ops_sample" 2>&1) && grep -q 'CANTUS_ISA=mmx: this machine does not have it' <<< "$out"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1)); echo "CANTUS_ISA=mmx: no warning"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
