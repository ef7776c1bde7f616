# rank_kills.sh -- the checks of e2e/rank_kills.sh at fifty moments.
MOMENTS=50
. "$(dirname "$0")/../e2e/rank_kills.sh"
