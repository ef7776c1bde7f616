#!/usr/bin/env bash
# What the programs of tests/emulator say to names, front ends, architectures and PTX that are not there or not understood,
# and the report on kernels to one with spills.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
tests=$BUILD_FOLDER/tests
parity=$tests/test_cuda_parity_fast ptx=$tests/test_cuda_parity_ptx

if [ -x "$parity" ]; then
    refuses 'an op that has no kernel' 2 'called nosuchop' "$parity" nosuchop
    refuses 'a front end that is not there' 2 'no front end 7' "$parity" gelu 7
    refuses 'a front end that is no number' 2 'no front end first' "$parity" gelu first
    check 'some ops' "$parity" 'gelu*' 0
else skip 'no C++ compiler: the kernels are not compiled for the emulator'; fi

alone=$TMP/alone/ptx/sm_90/traffic.ptx # a copy of a program, with PTX of our own beside it
changed() { # NAME "text in the message" SED_SCRIPT
    sed -E "$3" "$tests/ptx/sm_90/traffic.ptx" > "$alone"
    refuses "$1" 1 "$2" "$TMP/alone/test_traffic_ptx"
}
if [ -x "$ptx" ]; then
    refuses 'an architecture that is not there' 1 'no PTX of nonsense' env CANTUS_PTX=nonsense "$ptx" gelu
    refuses 'one that the build does not know' 2 'CANTUS_PTX=sm_70: no such architecture' make CANTUS_PTX=sm_70 test-build
    mkdir -p "$TMP/alone/ptx"
    cp "$tests/test_traffic_ptx" "$TMP/alone"
    refuses 'no PTX' 1 'no PTX of sm_90' "$TMP/alone/test_traffic_ptx"
    mkdir "$TMP/alone/ptx/sm_90"
    changed 'an instruction' 'instruction not understood: frobnicate %r1' 's/ret;/frobnicate %r1;/'
    changed 'an instruction outside functions' 'traffic.ptx:9: not in a function: ret' 's/^\.version.*/ret;/'
    changed 'a suffix' 'suffix .frob is not understood' 's/ld\.global/ld.frob/'
    changed 'an operand' 'unknown operand %tid.w' 's/%tid\.x/%tid.w/'
    changed 'a missing operand' 'form of instruction not understood' 's/%f1, *\[/[/'
    changed 'a directive' 'directive not understood: .frob' 's/^\.version.*/.frob 1/'
    changed 'a file cut in a function' 'the file ends in the middle of: .entry' '/ret;/,$ d'
    changed 'a file cut in a declaration' 'the file ends in the middle of: .entry' '/^\{/,$ d'

    account() { # ARCHITECTURE BYTES_OF_STACK BYTES_SPILLED: of a kernel and a function that it calls
        mkdir -p "$TMP/ptxas/$1"
        printf '%s\n' "ptxas info    : Compiling entry function 'a_kernel' for '$1'" \
            'ptxas info    : Function properties for a_kernel' \
            "    $2 bytes stack frame, $3 bytes spill stores, $3 bytes spill loads" \
            'ptxas info    : Used 32 registers' 'ptxas info    : Function properties for called' \
            '    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads' > "$TMP/ptxas/$1/a.txt"
    }
    report=$tests/kernels_report
    account sm_80 8 12
    account sm_90 0 0
    refuses 'a kernel with spills' 1 'sm_80/a.txt: a_kernel: 8 bytes of stack, 24 spilled' "$report" "$TMP/ptxas"
    refuses 'an architecture of which nothing is known' 1 'ptxas/sm_100: what ptxas says should' "$report" "$TMP/ptxas"
    check 'no more than that' sh -c '[ "$("$1" "$2" 2>&1 | grep -c "bytes of stack")" = 1 ]' - "$report" "$TMP/ptxas"
else skip 'no nvcc: no PTX'; fi
[ -x "$tests/test_gemm_descriptors_real" ] || skip 'no libcublasLt: the descriptors of products are checked on its double alone'
finish
