#!/bin/sh
# Installs what this machine lacks to build, run or test EdgeSync, and says what and why. Run it as often as you like: it
# asks first whether a thing is there, and does nothing when all is.
#
#   scripts/setup.sh headless   to build and run the agent and the command line
#   scripts/setup.sh build      the same, and the tray app
#   scripts/setup.sh test       the same, and everything the tests use
#
# Rust (https://rustup.rs) and Node come from you; the rest comes from the system's own packages (Debian 12 or later,
# Ubuntu 22.04 or later), from crates.io, from the npm registry and, for clients in the tests, from the Python package index.
# Nothing is downloaded from anywhere else.
set -eu
cd "$(dirname "$0")/.."

mode=${1-}
case $mode in
  headless | build | test) ;;
  *) echo "usage: scripts/setup.sh headless|build|test" >&2; exit 64 ;;
esac

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

missing=''
# want PACKAGE WHY CHECK...: notes PACKAGE as missing when CHECK fails.
want() {
  package=$1 why=$2
  shift 2
  if ! "$@" >/dev/null 2>&1; then
    missing="$missing $package"
    say "missing: $package ($why)"
  fi
}
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
library() { has pkg-config && pkg-config --exists "$1"; }
browser() { has chromium || has chromium-browser; }
# Debian keeps these where only root's PATH looks.
stock_nats() { has nats-server || [ -x /usr/sbin/nats-server ]; }
router() { has nft || [ -x /usr/sbin/nft ]; }

# Ubuntu's package of this name only fetches the snap.
chromium_package() {
  case $(. /etc/os-release 2>/dev/null && echo "${ID-}") in
    ubuntu) echo chromium-browser ;;
    *) echo chromium ;;
  esac
}

want_build() {
  want build-essential 'a C compiler, for the SQLite we build in' has cc
  want pkg-config 'finds system libraries' has pkg-config
}

want_desktop() {
  want libwebkit2gtk-4.1-dev 'the window' library webkit2gtk-4.1
  want libayatana-appindicator3-dev 'the tray icon' library ayatana-appindicator3-0.1
  want librsvg2-dev 'icons' library librsvg-2.0
}

want_test() {
  want git 'lists the files that the house rules look at' has git
  want fossil 'the judge: stock Fossil checks what we write and say' has fossil
  want nats-server 'the judge: a stock NATS server on the other end of our links' stock_nats
  want python3-venv 'runs stock NATS, MCP and Prometheus clients in the tests' python3 -c 'import ensurepip, venv'
  want "$(chromium_package)" 'browser tests' browser
  want xvfb 'a screen for the desktop tests' has Xvfb
  want dbus 'a session bus for the desktop tests' has dbus-daemon
  want webkit2gtk-driver 'drives the window in the desktop tests' has WebKitWebDriver
  want libfaketime 'a clock for the desktop tests' installed libfaketime
  want systemd 'checks the units in deploy' has systemd-analyze
  want iproute2 'another machine, in a network namespace' has ip
  want nftables 'routers with NAT, in network namespaces' router
  want dunst 'a real notification daemon for the desktop tests' has dunst
  want xfce4-panel 'a real tray for the desktop tests' has xfce4-panel
  want fonts-dejavu-core 'text on the test screens' installed fonts-dejavu-core
  want imagemagick 'pictures of the test screens' installed imagemagick
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    die "this needs root: run  $*"
  fi
}

install_missing() {
  [ -n "$missing" ] || return 0
  has apt-get || die "no apt-get here. Install the counterparts of:$missing"
  say "installing:$missing"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  # Word splitting is meant: one argument per package.
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

# The package of nats-server starts a server for the whole machine; the tests start their own, on ports of their own.
stop_nats_service() {
  case " $missing " in
    *' nats-server '*) ;;
    *) return 0 ;;
  esac
  has systemctl && [ -d /run/systemd/system ] || return 0
  say 'stopping the service that the package nats-server started: the tests need only the program'
  as_root systemctl disable --now nats-server.service
}

# A Python environment of its own, outside the clone like the folder that cargo builds into.
python_packages() {
  [ "$mode" = test ] || return 0
  packages='nats-py==2.16.0 nkeys==0.2.1 pynacl==1.6.2 mcp==2.3.0 prometheus-client==0.26.0'
  place=$HOME/.cache/edgesync/python
  if [ "$(cat "$place/.packages" 2>/dev/null)" != "$packages" ]; then
    say "installing stock clients for Python into $place"
    python3 -m venv --clear "$place"
    # Word splitting is meant: one argument per package.
    # shellcheck disable=SC2086
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check $packages
    echo "$packages" >"$place/.packages"
  fi
}

# Rust's own parts come as components of its toolchain, the test runner from crates.io.
rust_tools() {
  has cargo || die 'Rust is missing: install it from https://rustup.rs, then run this again'
  [ "$mode" = test ] || return 0
  for component in rustfmt clippy; do
    if ! cargo "${component#rust}" --version >/dev/null 2>&1; then
      say "missing: $component (part of the Rust toolchain)"
      rustup component add "$component"
    fi
  done
  if ! cargo nextest --version >/dev/null 2>&1; then
    say 'missing: cargo-nextest (runs the tests). Building it takes several minutes, once.'
    cargo install cargo-nextest --locked
  fi
}

# The page is built by Vite 8, which wants Node 20.19.
node_packages() {
  has node && has npm || die 'Node is missing: install Node 20.19 or later with npm, then run this again'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' \
    || die "Node $(node --version) is too old: 20.19 or later is needed"
  if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say 'installing the npm packages of package-lock.json'
    npm ci --no-audit --no-fund
    # npm leaves this file's time alone when nothing changed; the comparison above relies on it.
    touch node_modules/.package-lock.json
  fi
}

want_build
[ "$mode" = headless ] || want_desktop
[ "$mode" != test ] || want_test
install_missing
stop_nats_service
rust_tools
python_packages
node_packages
say "everything for '$mode' is there"
