# ranks.sh -- the checks of e2e/ranks.sh, all of them for both stages.
ALL=1
. "$(dirname "$0")/../e2e/ranks.sh"
