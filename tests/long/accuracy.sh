# accuracy.sh -- the analysis against annotations that it never sees: no score on the even songs is below its floor.
. "$(dirname "$0")/../e2e/library.sh"
if [ ! -d ../shared/data/pop909 ]; then skip "no ../shared/data"; finish; exit; fi
tests/accuracy/run "$BUILD_FOLDER/tools/accuracy" > "$TMP/table" 2> "$TMP/errors" || cat "$TMP/errors"
while IFS='|' read -r _ name score _ _ floor _; do
    case $floor in *[0-9]*) check "$name:$score, at least ${floor%%,*}%" eval "[[ '$floor' != *missed* ]]" ;; esac
done < "$TMP/table"
check 'a table' test "$passed" -gt 15
finish
