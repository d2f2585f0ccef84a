#!/bin/sh
# Type-checks the Rust code of all packages for the systems that the tests do not run on, which needs the standard libraries of
# these targets (rustup target add) and nothing else of them: a stand-in takes the place of the C compiler, because nothing is
# linked. What C code there is (SQLite, ring) is not looked at.
set -eu
cd "$(dirname "$0")/.."
targets=${*:-x86_64-pc-windows-gnu aarch64-apple-darwin}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
trap 'exit 1' INT TERM

# Makes the files that it is asked for, empty.
cat > "$tools/stand-in" <<'STAND_IN'
#!/bin/sh
before=
for argument in "$@"; do
  case $before in -o | -O | --output) : > "$argument" ;; esac
  case $argument in *.a) : > "$argument" ;; esac
  before=$argument
done
STAND_IN
chmod +x "$tools/stand-in"
for name in x86_64-w64-mingw32-windres x86_64-w64-mingw32-ar; do cp "$tools/stand-in" "$tools/$name"; done

# Of its own: a check for another system must not push out what is built for this one.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/edgesync/target}/elsewhere
SDKROOT=$tools
PATH=$tools:$PATH
export CARGO_TARGET_DIR SDKROOT PATH
for target in $targets; do
  name=$(echo "$target" | tr - _)
  export "CC_$name=$tools/stand-in" "CXX_$name=$tools/stand-in" "AR_$name=$tools/stand-in" "RANLIB_$name=true"
  echo "checking for $target"
  cargo check --locked --workspace --exclude edgesync-tests --target "$target"
done
