#!/usr/bin/env bash
# A vLLM server that samples the agent's turns on one GPU, and takes new weights: rollouts.sh 3
source "$(dirname "$0")/settings.sh"
[[ -z $TOKEN_ENV ]] || export VLLM_API_KEY=${!TOKEN_ENV}
export CUDA_VISIBLE_DEVICES=$1 VLLM_SERVER_DEV_MODE=1
# A run's folder has its policy in a folder of its own.
[[ ! -f $POLICY/policy/config.json ]] || POLICY=$POLICY/policy
exec $VLLM serve "$POLICY" --host $bind --port $((ROLLOUT_PORT + $1)) --enable-scale-out \
    --logprobs-mode processed_logprobs --generation-config vllm \
    --limit-mm-per-prompt '{"image": 4}' $ROLLOUT_OPTIONS
