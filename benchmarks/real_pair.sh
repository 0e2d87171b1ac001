#!/bin/sh
# The full run on the real pair: VENEER_PAIR and VENEER_DATA name the folders, the first word is the output folder.
set -eu
exec veneer run --base "$VENEER_PAIR/base" --aligned "$VENEER_PAIR/aligned" --tasks advbench,svamp --out "${1:-runs/smollm2}"
