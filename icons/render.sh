#!/bin/sh
# Renders every PNG from its SVG. Run it after changing a drawing and commit both. Needs rsvg-convert (Debian: librsvg2-bin).
set -eu
cd "$(dirname "$0")"

# Tray pictures, twice the largest size that a panel shows (22 px).
for drawing in tray/*.svg; do
  for style in panel template; do
    rsvg-convert --width 44 --height 44 --stylesheet "$style.css" --output "${drawing%.svg}.$style.png" "$drawing"
  done
done

# The app's icon, named as bundlers expect.
rsvg-convert --width 32 --height 32 --output app/32x32.png app.svg
rsvg-convert --width 128 --height 128 --output app/128x128.png app.svg
rsvg-convert --width 256 --height 256 --output app/128x128@2x.png app.svg
rsvg-convert --width 512 --height 512 --output app/icon.png app.svg

# The same for Windows, in the sizes that it shows.
pictures=$(mktemp -d)
trap 'rm -rf "$pictures"' EXIT
for size in 16 24 48; do
  rsvg-convert --width "$size" --height "$size" --output "$pictures/$size.png" app.svg
done
node ico.mjs app/icon.ico "$pictures/16.png" "$pictures/24.png" app/32x32.png "$pictures/48.png" app/128x128@2x.png
