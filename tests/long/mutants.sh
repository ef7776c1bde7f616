# mutants.sh -- the checks of e2e/mutants.sh, all of them.
ALL=1
. "$(dirname "$0")/../e2e/mutants.sh"
