#!/usr/bin/env bash
# Plays the person in front of a browser, form by form: signs in, enters the code, decides.
# approve.sh SERVER USER PASSWORD CODE [approve|deny]
set -euo pipefail
server=$1 user=$2 password=$3 code=$4 decision=${5:-approve}
jar=$(mktemp) page=$(mktemp)
trap 'rm -f "$jar" "$page"' EXIT

browse() {
  curl --silent --show-error --max-time 20 --location --cookie "$jar" --cookie-jar "$jar" --output "$page" "$@"
}
hidden() { sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" "$page" | head -n 1; }

browse "$server/login"
browse "$server/login" --data-urlencode "username=$user" --data-urlencode "password=$password" \
  --data-urlencode "csrf_token=$(hidden csrf_token)"
browse "$server/device" --data-urlencode "user_code=$code" --data-urlencode "csrf_token=$(hidden csrf_token)"
browse "$server/device" --data-urlencode "ticket=$(hidden ticket)" --data own_device=yes --data "decision=$decision" \
  --data-urlencode "csrf_token=$(hidden csrf_token)"
title=$(sed -n 's/.*<h1>\(.*\)<\/h1>.*/\1/p' "$page")
case $decision in
  approve) wanted='Device connected' ;;
  *) wanted='Request denied' ;;
esac
[[ $title == "$wanted" ]] || { echo "the browser of $user shows “$title”, not “$wanted”" >&2; exit 1; }
