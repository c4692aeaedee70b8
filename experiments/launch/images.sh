#!/usr/bin/env bash
# An image server on one GPU: images.sh 4
source "$(dirname "$0")/settings.sh"
export CUDA_VISIBLE_DEVICES=$1
exec $RUN genagent-tools serve --profile "$IMAGE_PROFILE" --devices "$DEVICE" \
    --host $bind --port $((IMAGE_PORT + $1)) ${TOKEN_ENV:+--token-env "$TOKEN_ENV"} $IMAGE_OPTIONS
