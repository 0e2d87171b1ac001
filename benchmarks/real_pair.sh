#!/bin/sh
# Runs on the real pair: VENEER_PAIR and VENEER_DATA name the folders, the first word is the output folder, `all` behind it takes five tasks and every baseline.
set -eu
out=${1:-runs/smollm2}
pair="--base $VENEER_PAIR/base --aligned $VENEER_PAIR/aligned"
if [ "${2:-}" = all ]; then
    # shellcheck disable=SC2086
    exec veneer run $pair --tasks advbench,svamp,toxigen,truthfulqa,xstest --train 150 --test 50 --prompt-template published --toxicity-model stand-in \
        --baselines urial,system-prompt,bias,rank-1,rank-16,cross,lora-100 --out "$out"
fi
# shellcheck disable=SC2086
exec veneer run $pair --tasks advbench,svamp --prompt-template published --out "$out"
