#!/usr/bin/env bash
# Training, a process a GPU. What else is given are the run's own options: train.sh --steps 100
# With --check among them one process reads them, and that is all.
source "$(dirname "$0")/settings.sh"
gpus=($train)
export CUDA_VISIBLE_DEVICES=$(joined "${gpus[@]}")
# torchrun's own patience with whoever is ended is 30 s.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=$GRACE_SECONDS
launcher=(torchrun --standalone --nproc-per-node ${#gpus[@]})
[[ " $* " != *" --check "* ]] || launcher=(python)
exec $RUN "${launcher[@]}" "$ROOT/experiments/rl_flux.py" "$PRESET" \
    --policy "$POLICY" --device "$DEVICE" $MEMORY --runs "$RUNS" \
    --world.train "$TRAIN" --world.held-out "$HELD_OUT" \
    --world.tool "$(joined "${images[@]}")" \
    --world.judge "$judge_url" --world.judge-model "$JUDGE_MODEL" \
    ${rollouts[@]:+--engine.urls "$(joined "${rollouts[@]}")"} \
    ${TOKEN_ENV:+--world.tool-token-env "$TOKEN_ENV"} \
    ${TOKEN_ENV:+${rollouts[@]:+--engine.key-env "$TOKEN_ENV"}} \
    ${judge_key_env:+--world.judge-key-env "$judge_key_env"} "$@"
