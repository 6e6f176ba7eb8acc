# What a page's commands are typed into: `bash page.sh TYPED SAID`, its output going to SAID.
# Between two blocks stand calls of the functions below; see markdown.mjs.
set -eu -o pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
docs_typed=$1 docs_said=$2
docs_mark=0 docs_line=0

docs_finish() {
  local status=$?
  trap - EXIT
  # Everything that the page left running, and whoever still waits for a code.
  local running
  running=$(jobs -p)
  [[ -z $running ]] || { kill $running 2>/dev/null || true; wait; }
  ((status == 0)) || echo "the block at line $docs_line ended with $status" >&2
  exit "$status"
}
trap docs_finish EXIT
trap 'exit 1' TERM

# A block begins; what `expect` looks at is said from here on.
docs_block() {
  docs_line=$1
  docs_mark=$(stat --format=%s "$docs_said")
  echo "--- line $docs_line"
}

# What the block said must match an extended regular expression.
docs_expect() {
  grep --quiet --extended-regexp -- "$1" < <(tail --bytes=+$((docs_mark + 1)) "$docs_said") ||
    { echo "what the block at line $docs_line said does not match: $1" >&2; exit 1; }
}

# What no reader needs to type.
docs_check() {
  (eval "$1") || { echo "this does not hold: $1" >&2; exit 1; }
}

# Whoever reads the page has a browser: as soon as the next block shows a user code, somebody decides.
# `docs_person approve [at URL]`
docs_person() {
  local decision=$1 server=${3:-http://localhost:8628} from shell=$$
  from=$(stat --format=%s "$docs_said")
  {
    code=$(grep --max-count=1 --only-matching --perl-regexp \
      '(?<![\w-])[A-HJKMNP-Z2-9]{4}-[A-HJKMNP-Z2-9]{4}(?![\w-])' \
      < <(timeout 50 tail --bytes=+$((from + 1)) --follow "$docs_said")) &&
      "$tests/approve.sh" "$server" alice 'correct horse battery' "$code" "$decision" ||
      { echo "nobody could $decision what was shown" >&2; kill -TERM -- "-$shell"; }
  } >&2 &
  disown
}

cd "$(dirname "$docs_said")/folder"
# shellcheck source=/dev/null
source "$docs_typed"
