#!/usr/bin/env bash
# What LeaF does on one NVIDIA GPU: tests marked `cuda`, then four benchmarks at small sizes. At most
# ten minutes once the environment is there; `make dev` makes it, from the network, where it is not.
#
#     tools/gpu_check.sh [--dry-run | --cpu]
#
# --dry-run prints the commands; --cpu runs them without a GPU, to try this script. A part that fails
# stops no other; a line a part says how it ended. What they say is in $OUT (runs/gpu), figures in
# $OUT/PART.json. $PYTHON is one that has LeaF's packages, $VLLM one that has vLLM, too.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
how=${1:-}
case $how in "" | --dry-run | --cpu) ;; *) echo "$0: $how: must be --dry-run or --cpu" >&2 && exit 2 ;; esac
out=${OUT:-runs/gpu}
python=${PYTHON:-.venv/bin/python}
models=${LEAF_OFFLINE_MODELS:-$HOME/.cache/leaf/offline}
data=${DATA:-../shared/data/gsm8k}
export LEAF_OFFLINE_MODELS=$models PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH}
lines=() failed=0

# part NAME SECONDS COMMAND: run it for so long at most and note how it ended
part() {
    local name=$1 limit=$2 begun=$SECONDS rc
    shift 2
    [ "$how" = --dry-run ] && echo "$name: timeout $limit $*" && return
    echo "== $name: $*"
    timeout --kill-after=5 "$limit" "$@" 2>&1 | tee "$out/$name.txt"
    rc=${PIPESTATUS[0]}
    tail -n 1 "$out/$name.txt" | grep '^{' >"$out/$name.json" || rm -f "$out/$name.json"
    case $rc in
        0) note "$name" "done in $((SECONDS - begun)) s" ;;
        124 | 137) note "$name" "FAILED: over $limit s" && failed=1 ;;
        *) note "$name" "FAILED ($rc): $(grep -v '^ *$' "$out/$name.txt" | tail -n 1 | cut -c 1-150)" && failed=1 ;;
    esac
}

note() { lines+=("$1: $2"); }

# Where GSM8K is not here: problems of the demo world in its form
stand_in() {
    note data "no $data: problems of the demo world in its place"
    data=$out/data
    "$python" - "$data" <<'END'
import json, sys
from pathlib import Path
from leaf.recipe import DataSection, WorldSection
from leaf.tasks import load_problems

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
world = DataSection(task="playground", split="both", world=WorldSection(size=64, seed=1))
rows = [{"question": one.question, "answer": f"{one.solution}\n#### {one.answer}"} for one in load_problems(world)]
for name in ("train", "test"):
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
END
}

if [ "$how" != --dry-run ]; then
    mkdir -p "$out"
    "$python" -c 'import torch, transformers, pytest' 2>/dev/null || { make dev && python=.venv/bin/python; } || exit 1
    [ "$how" = --cpu ] || "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || {
        echo "$0: PyTorch of $python sees no CUDA device: nothing was run" >&2 && exit 1
    }
    [ -d "$data" ] || stand_in
fi

part models 50 "$python" tools/offline_models.py --to "$models" smollm2-135m
part rivals 60 "$python" tools/rivals.py
part tests 100 "$python" -m pytest -q -n 0 -m cuda
part attribute 70 "$python" -m benchmarks.attribute --names smollm2-135m --n 16 --data "$data/train.jsonl" --json
part kl 70 "$python" -m benchmarks.kl --positions 2048 --repeats 2 --json
part distill 110 "$python" -m benchmarks.distill --pairs smollm2 --rows 8 --repeats 1 --data "$data/train.jsonl" --json
for engine in hf vllm; do
    with=$python && [ $engine = vllm ] && with=${VLLM:-$python}
    if [ $engine = hf ] || [ "$how" = --dry-run ] || "$with" -c 'import vllm' 2>/dev/null; then
        part "generate-$engine" 65 "$with" -m benchmarks.generate --engines $engine --names smollm2-135m \
            --n 32 --max-new-tokens 128 --repeats 2 --data "$data/test.jsonl" --json
    else
        note "generate-$engine" "not run: $with has no vLLM"
    fi
done

[ "$how" = --dry-run ] && exit
printf '%s\n' "" "${lines[@]}" | tee "$out/parts.txt"
exit $failed
