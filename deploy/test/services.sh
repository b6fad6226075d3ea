# Real RabbitMQ and Redis on free ports, ended with the part. Sourced after lib.sh.

# ended PID...: asks processes to end, then makes them.
ended() {
  kill "$@" 2>/dev/null
  local pid
  for pid in "$@"; do
    await 10 eval "! kill -0 $pid 2>/dev/null" || kill -9 "$pid" 2>/dev/null
  done
  return 0
}
listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# start_broker ADDRESS: RabbitMQ there; its URL is in $broker_url.
start_broker() {
  local dir=$work/rabbitmq port distribution mapper password program
  program=$(find /usr/lib/rabbitmq -name rabbitmq-server -path '*/bin/*' 2>/dev/null | head -n 1)
  [ -n "$program" ] || { echo "there is no RabbitMQ (scripts/setup --services)"; return 1; }
  port=$(free_port) distribution=$(free_port) mapper=$(free_port) password=$(head -c 12 /dev/urandom | base64 | tr '+/' '-_')
  mkdir -p "$dir"
  echo '[].' >"$dir/plugins"
  printf 'default_user = sundog\ndefault_pass = %s\nconsumer_timeout = 86400000\n' "$password" >"$dir/rabbitmq.conf"
  chmod 600 "$dir/rabbitmq.conf"
  epmd -port "$mapper" -address 127.0.0.1 >>"$log" 2>&1 &
  local epmd=$!
  at_end ended "$epmd"
  await 10 listens 127.0.0.1 "$mapper" || return 1
  env HOME="$dir" ERL_EPMD_PORT="$mapper" ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP="$dir/crash.dump" \
    RABBITMQ_NODENAME="sundog-$port@localhost" RABBITMQ_NODE_IP_ADDRESS="$1" RABBITMQ_NODE_PORT="$port" \
    RABBITMQ_DIST_PORT="$distribution" RABBITMQ_BASE="$dir" RABBITMQ_MNESIA_BASE="$dir/mnesia" \
    RABBITMQ_LOG_BASE="$dir/log" RABBITMQ_LOGS=- RABBITMQ_CONF_ENV_FILE="$dir/none" RABBITMQ_CONFIG_FILE="$dir/rabbitmq" \
    RABBITMQ_ADVANCED_CONFIG_FILE="$dir/advanced" RABBITMQ_GENERATED_CONFIG_DIR="$dir/generated" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_PID_FILE="$dir/pid" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false +sbwt none" \
    setsid "$program" >"$dir/out.txt" 2>&1 &
  # The script stays in front of Erlang in one group of processes.
  at_end kill -9 -- "-$!"
  broker_url="amqp://sundog:$password@$1:$port/%2f"
  await 90 listens "$1" "$port" || { tail -n 20 "$dir/out.txt"; return 1; }
}

# start_redis ADDRESS: Redis there; its URL is in $redis_url.
start_redis() {
  local dir=$work/redis port password
  port=$(free_port) password=$(head -c 12 /dev/urandom | base64 | tr '+/' '-_')
  mkdir -p "$dir"
  printf 'bind %s\nport %s\nrequirepass %s\nsave ""\ndir %s\n' "$1" "$port" "$password" "$dir" >"$dir/redis.conf"
  chmod 600 "$dir/redis.conf"
  redis-server "$dir/redis.conf" >"$dir/out.txt" 2>&1 &
  at_end ended $!
  redis_url="redis://:$password@$1:$port/0"
  await 20 listens "$1" "$port"
}

# start_services ADDRESS: both, with their URLs as files broker and redis in $work/secrets.
start_services() {
  start_redis "$1" && start_broker "$1" || return 1
  mkdir -p -m 700 "$work/secrets"
  printf %s "$broker_url" >"$work/secrets/broker"
  printf %s "$redis_url" >"$work/secrets/redis"
  export SUNDOG_BROKER_FILE=$work/secrets/broker SUNDOG_REDIS_FILE=$work/secrets/redis
}
