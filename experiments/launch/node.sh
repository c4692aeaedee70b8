#!/usr/bin/env bash
# All that one node does: starts its servers, waits until every server answers, trains where this
# node trains, and takes down what it has started: at the end, on Ctrl-C, or when one has died.
#   experiments/launch/node.sh --steps 100
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)) || {
    echo "error: bash is $BASH_VERSION; wants 5.1 or newer" >&2
    exit 2
}
source "$(dirname "$0")/settings.sh"
here=$(dirname "${BASH_SOURCE[0]}")
declare -A names=() logs=() # by process
servers=() trainer="" code=0 last=""

start() { # name, command: in a session of its own, which no Ctrl-C reaches but ours
    local log="$LOGS/${1// /-}.log"
    setsid "${@:2}" >>"$log" 2>&1 &
    servers+=($!) names[$!]=$1 logs[$!]=$log
}

end() { # processes: asked, given GRACE_SECONDS, then killed with all that they have started
    local process began=$SECONDS
    kill -TERM "$@" 2>/dev/null
    for process in "$@"; do
        while kill -0 "$process" 2>/dev/null && ((SECONDS - began < GRACE_SECONDS)); do sleep 0.2; done
        kill -KILL -- "-$process" 2>/dev/null
    done
}

leave() { # training first, so that what it still asks is answered
    trap '' INT TERM EXIT
    [[ -z $trainer ]] || end "$trainer"
    ((${#servers[@]} == 0)) || end "${servers[@]}"
    [[ -z $last || -z $trainer ]] || echo "$last" >&2 # again: torchrun has said much in between
    exit "$code"
}

died() { # process
    last="error: ${names[$1]} (process $1) has died; its log is ${logs[$1]}"
    printf '%s\n' "$last, and ends:" >&2
    tail -n 5 "${logs[$1]}" | sed 's/^/  /' >&2
    code=1
    leave
}

trap 'code=130; leave' INT
trap 'code=143; leave' TERM
trap leave EXIT

for word in "$@"; do
    case $word in
        --check | --help | -h | --plan | --plan.*) # nothing is run, and no server is wanted
            trap - INT TERM EXIT
            exec "$here/train.sh" "$@" --check
            ;;
    esac
done
code=2 # until servers are started, which take minutes to load
if [[ -n $train ]]; then
    for path in "$POLICY" "$TRAIN" "$HELD_OUT"; do
        [[ $path == "$POLICY" && $path != */* || -e $path ]] || { # sft and base are policies too
            echo "error: $path is not there; POLICY, TRAIN and HELD_OUT name the run's own" >&2
            exit
        }
    done
    "$here/train.sh" "$@" --check >/dev/null || exit
fi
code=0
mkdir -p "$LOGS"
[[ -z $judge ]] || start "judge on GPUs $judge" "$here/judge.sh"
for gpu in $image; do start "image server on GPU $gpu" "$here/images.sh" "$gpu"; done
for gpu in $rollout; do start "vLLM for rollouts on GPU $gpu" "$here/rollouts.sh" "$gpu"; done
for process in "${servers[@]}"; do echo "starting ${names[$process]}, log ${logs[$process]}"; done

for url in "${ready[@]}"; do
    until curl --silent --fail --max-time 5 --output /dev/null "$url"; do
        for process in "${servers[@]}"; do kill -0 "$process" 2>/dev/null || died "$process"; done
        if ((SECONDS > READY_SECONDS)); then
            echo "error: $url does not answer after $READY_SECONDS s; see $LOGS, or raise READY_SECONDS" >&2
            code=1
            leave
        fi
        sleep 1
    done
    echo "up: $url"
done

if [[ -n $train ]]; then
    setsid "$here/train.sh" "$@" &
    trainer=$! names[$!]="training on GPUs $train"
fi
wait -n -p ended ${trainer:+"$trainer"} "${servers[@]}"
code=$?
[[ ${ended-} == "$trainer" ]] || died "$ended"
leave
