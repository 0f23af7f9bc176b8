# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# director_peers.bash: starts a gateway, what may stand between it and a client, and route-director.
# Sourced by director.sh, which sets dir, bin and pids.  Each start_NAME sets port and pid.
# shellcheck disable=SC2154

listening()
{
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# serve NAME COMMAND...: starts COMMAND with %p replaced by a port that nobody listens on, and
# sets port and pid once it answers there; the next port is tried when the program ends instead.
serve()
{
  local name=$1 deadline
  shift
  for _ in {1..20}; do
    port=$((20000 + RANDOM % 40000))
    ! listening "$port" || continue
    "${@//%p/$port}" >"$dir/$name.log" 2>&1 &
    pid=$!
    deadline=$((SECONDS + 5))
    while kill -0 "$pid" 2>/dev/null && [[ $SECONDS -le $deadline ]]; do
      if listening "$port"; then
        pids+=("$pid")
        return
      fi
      sleep 0.05
    done
    kill "$pid" 2>/dev/null
  done
  echo "director: $name does not start:" >&2
  cat "$dir/$name.log" >&2
  exit 69
}

# start_gateway KIND: "file" serves the volumes $dir/volumes/*, "memory" one for all names.
start_gateway()
{
  local volume
  mkdir "$dir/volumes"
  for volume in "${volumes[@]}"; do
    head -c 256M /dev/zero >"$dir/volumes/$volume" || exit
  done
  case $1 in
  file)
    serve gateway nbdkit -f -i 127.0.0.1 -p %p --filter=noextents file dir="$dir/volumes"
    ;;
  memory)
    serve gateway nbdkit -f -i 127.0.0.1 -p %p --filter=noextents memory 256M
    ;;
  *)
    echo "director: no such gateway '$1': file, memory" >&2
    exit 64
    ;;
  esac
  gateway_port=$port
}

# One thread, as the director has.
start_haproxy()
{
  cat >"$dir/haproxy.cfg" <<END
global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen nbd
  bind "127.0.0.1:\${LISTEN_PORT}"
  server gateway 127.0.0.1:$gateway_port
END
  serve haproxy env LISTEN_PORT=%p haproxy -db -f "$dir/haproxy.cfg"
}

start_nbdkit-nbd()
{
  serve nbdkit-nbd nbdkit -f -i 127.0.0.1 -p %p nbd \
    uri="nbd://127.0.0.1:$gateway_port/${volumes[0]}"
}

start_qemu-storage-daemon()
{
  local to=driver=nbd,node-name=vol,export=${volumes[0]},server.type=inet
  serve qemu-storage-daemon qemu-storage-daemon \
    --blockdev "$to,server.host=127.0.0.1,server.port=$gateway_port" \
    --nbd-server addr.type=inet,addr.host=127.0.0.1,addr.port=%p,max-connections=0 \
    --export "type=nbd,id=vol,node-name=vol,name=${volumes[0]},writable=on"
}

# has_PEER: can it be started here?
has_haproxy()
{
  command -v haproxy >/dev/null
}

has_nbdkit-nbd()
{
  nbdkit --dump-plugin nbd >/dev/null 2>&1
}

has_qemu-storage-daemon()
{
  command -v qemu-storage-daemon >/dev/null
}

# start_director NAME OPTION...: each with a route store of its own.
start_director()
{
  local own=$dir/$1 volume
  mkdir -p "$own/config" "$own/state" "$own/run"
  printf 'gateway,uri,site,capacity_bytes,iops_limit,state,hook\n%s\n' \
    "gw-a,nbd://127.0.0.1:$gateway_port,,,,active," >"$own/config/gateways.csv"
  local dirs=(--config "$own/config" --state "$own/state" --run "$own/run")
  for volume in "${volumes[@]}"; do
    "$bin/route-set" "${dirs[@]}" "$volume" gw-a >/dev/null || exit
  done
  serve "$1" "$bin/route-director" --listen 127.0.0.1:%p "${@:2}" "${dirs[@]}"
}

# start_variant NAME: the director under the options that the name stands for.
start_variant()
{
  case $1 in
  director) start_director director ;;
  logging) start_director logging --access-log "$dir/access.csv" ;;
  no-replay) start_director no-replay --replay-log 0 ;;
  threads-2) start_director threads-2 --threads 2 ;;
  esac
}
