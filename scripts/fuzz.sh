#!/bin/sh
# Lets a fuzzer try to upset each parser that reads bytes from outside. A finding stops the run; the input that caused it is
# then in fuzz/artifacts. Inputs that reached something new are kept in fuzz/corpus for the next run.
#
#   scripts/fuzz.sh [SECONDS] [TARGET]...   SECONDS for each target, 60 unless given; all targets unless some are named
set -eu
cd "$(dirname "$0")/.."

seconds=${1-60}
[ $# -eq 0 ] || shift
case $seconds in
  '' | *[!0-9]*) echo "usage: scripts/fuzz.sh [SECONDS] [TARGET]..." >&2; exit 64 ;;
esac

if ! cargo fuzz --version >/dev/null 2>&1 || ! cargo +nightly --version >/dev/null 2>&1; then
  cat >&2 <<'END'
fuzz: this needs cargo-fuzz and a nightly compiler, which nothing else here does. To get them:
fuzz:   rustup toolchain install nightly --profile minimal
fuzz:   cargo install cargo-fuzz --locked
END
  exit 1
fi

[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list)
for target in "$@"; do
  echo "fuzz: $target for $seconds s"
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=10
done
