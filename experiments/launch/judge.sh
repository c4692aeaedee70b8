#!/usr/bin/env bash
# The judge of this node: one vLLM server over all of its GPUs.
source "$(dirname "$0")/settings.sh"
gpus=($judge)
[[ -z $TOKEN_ENV ]] || export VLLM_API_KEY=${!TOKEN_ENV}
export CUDA_VISIBLE_DEVICES=$(joined "${gpus[@]}")
exec $VLLM serve "$JUDGE_MODEL" --host $bind --port "$JUDGE_PORT" \
    --tensor-parallel-size ${#gpus[@]} --max-model-len "$JUDGE_TOKENS" \
    --limit-mm-per-prompt '{"image": 2}' $JUDGE_OPTIONS
