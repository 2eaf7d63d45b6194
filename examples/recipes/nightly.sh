#!/bin/sh
# nightly.sh INBOX OUTBOX [OPTIONS], for cron:
#     15 2 * * *  /srv/toons/nightly.sh /srv/inbox /srv/outbox --style ink
# Draws what is new, says nothing when all is well (cron mails what is printed), never runs twice
# at once, and keeps a manifest a night.
set -eu
inbox=$1 outbox=$2
shift 2
mkdir -p "$outbox"
exec 9>"$outbox/.lock"
if ! flock -n 9; then
    echo "the last run is still going" >&2
    exit 75
fi
status=0
${TOONIFY:-toonify} stylize "$inbox" -o "$outbox" --recursive --skip-existing --quiet \
    --manifest "$outbox/manifest-$(date +%F).jsonl" "$@" || status=$?
# 1: some photos failed and were named; tomorrow's run tries them again
exit "$status"
