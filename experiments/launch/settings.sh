# shellcheck shell=bash disable=SC2034
# What the scripts beside this one take for granted. Each is a variable of the environment too:
#   POLICY=/models/Qwen2.5-VL-7B-Instruct TRAIN=train.jsonl experiments/launch/node.sh

: "${ROOT:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${RUN=uv run --project $ROOT}"   # in front of this project's commands; empty in its environment
: "${VLLM:=vllm}"                   # that of an environment of its own
: "${LOGS:=}"                       # folder, a file for each server; logs, of several nodes logs/node-1 …

# The run
: "${PRESET:=flux-7b}"
: "${POLICY:=Qwen2.5-VL-7B-Instruct}"   # a checkpoint folder that every node sees
: "${TRAIN:=train.jsonl}"
: "${HELD_OUT:=held_out.jsonl}"
: "${RUNS:=runs}"                       # where training writes; with vLLM, every node sees it
: "${MEMORY=--distributed.zero 2 --dtype bfloat16 --checkpoint-activations}"
: "${DEVICE:=cuda}"

# Who draws and who judges
: "${IMAGE_PROFILE:=flux-8step}"
: "${JUDGE_MODEL:=Qwen/Qwen3-VL-30B-A3B-Instruct}"
: "${JUDGE_TOKENS:=16384}"      # of a question with its pictures and the answer
: "${JUDGE_URL=}"               # an endpoint that is there already; then no GPU judges here
: "${IMAGE_OPTIONS=}"           # further ones of genagent-tools serve: --model FLUX.1-dev --lora turbo.safetensors
: "${JUDGE_OPTIONS=}"           # and of vllm serve
: "${ROLLOUT_OPTIONS=}"         # --enable-lora …
: "${ROLLOUTS:=here}"           # who samples turns: here, those that train; vllm, servers

# Where: names of the nodes, and which of them this is, counted from 1
: "${NODES:=127.0.0.1}"
: "${NODE:=$((${SLURM_NODEID:-0} + 1))}"
: "${IMAGE_PORT:=8100}"         # and the GPU's number, as for the next
: "${ROLLOUT_PORT:=8200}"
: "${JUDGE_PORT:=8300}"
: "${TOKEN_ENV=}"               # variable with the token of these servers; several nodes want one
: "${JUDGE_KEY_ENV=}"           # the same of JUDGE_URL; OPENAI_API_KEY where that is https
: "${READY_SECONDS:=1800}"      # for the servers to load
: "${GRACE_SECONDS:=180}"       # for whoever is ended to write what it has

set -u
read -ra nodes <<<"$NODES"
: "${LOGS:=logs$( ((${#nodes[@]} == 1)) || echo "/node-$NODE")}" # one file system may hold them all
# What leads to the hub does not lead to these servers.
export no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost,${NODES// /,}"
export NO_PROXY=$no_proxy
if ((${#nodes[@]} == 1)); then
    bind=127.0.0.1
else
    bind=0.0.0.0
    [[ -n $TOKEN_ENV && -n ${!TOKEN_ENV-} ]] || {
        echo "error: TOKEN_ENV is ${TOKEN_ENV:-empty}; ${#nodes[@]} nodes want the name of a variable with a token" >&2
        exit 2
    }
fi

place() { # node's number; the table of `--plan`, docs/scale.md
    train="" rollout="" image="" judge=""
    case "${#nodes[@]} $ROLLOUTS $1" in
        "1 here 1") train="0 1 2 3" image="4 5" judge="6 7" ;;
        "1 vllm 1") train="0 1 2" rollout="3" image="4 5" judge="6 7" ;;
        "4 here 1") train="0 1 2 3 4 5 6 7" ;;
        "4 here 4") image="0 1 2 3 4 5" judge="6 7" ;;
        "4 here "[23]) image="0 1 2 3 4 5 6 7" ;;
        "4 vllm 1") train="0 1 2 3 4 5 6" rollout="7" ;;
        "4 vllm 2") rollout="0 1" image="2 3 4 5 6 7" ;;
        "4 vllm 3") image="0 1 2 3 4 5 6 7" ;;
        "4 vllm 4") image="0 1 2 3 4 5" judge="6 7" ;;
        *)
            echo "error: no place for node $1 of ${#nodes[@]} with ROLLOUTS=$ROLLOUTS; add a line to place() in ${BASH_SOURCE[0]}" >&2
            exit 2
            ;;
    esac
    if ((${#nodes[@]} > 1)) && [[ -n ${TRAIN_GPUS+x}${ROLLOUT_GPUS+x}${IMAGE_GPUS+x}${JUDGE_GPUS+x} ]]; then
        echo "error: TRAIN_GPUS, ROLLOUT_GPUS, IMAGE_GPUS and JUDGE_GPUS are for one node; for ${#nodes[@]} change place() in ${BASH_SOURCE[0]}" >&2
        exit 2
    fi
    if ((${#nodes[@]} == 1)); then # other numbers of GPUs: TRAIN_GPUS="0 1" …
        train=${TRAIN_GPUS-$train} rollout=${ROLLOUT_GPUS-$rollout}
        image=${IMAGE_GPUS-$image} judge=${JUDGE_GPUS-$judge}
    fi
    [[ -z $JUDGE_URL ]] || judge=""
    train=${train//,/ } rollout=${rollout//,/ } image=${image//,/ } judge=${judge//,/ }
    local gpu seen=" "
    for gpu in $train $rollout $image $judge; do
        [[ $gpu =~ ^[0-9]+$ && $seen != *" $gpu "* ]] || {
            echo "error: GPU $gpu is no number, or has two things to do (training on $train, rollouts on ${rollout:-none}, pictures on $image, judge on ${judge:-none})" >&2
            exit 2
        }
        seen+="$gpu "
    done
}

joined() { local IFS=,; echo "$*"; }

# All servers' addresses, and where each says that it is ready.
images=() rollouts=() ready=() judge_url=$JUDGE_URL judge_key_env=$JUDGE_KEY_ENV
for ((number = 1; number <= ${#nodes[@]}; number++)); do
    place "$number"
    host=http://${nodes[number - 1]}
    for gpu in $image; do
        images+=("$host:$((IMAGE_PORT + gpu))") && ready+=("$host:$((IMAGE_PORT + gpu))/healthz")
    done
    for gpu in $rollout; do
        rollouts+=("$host:$((ROLLOUT_PORT + gpu))") && ready+=("$host:$((ROLLOUT_PORT + gpu))/health")
    done
    if [[ -n $judge ]]; then
        judge_url=$host:$JUDGE_PORT/v1 judge_key_env=$TOKEN_ENV
        ready+=("$host:$JUDGE_PORT/health")
    fi
done
place "$NODE" # from here on: what this node does
