#!/bin/sh
# Secrets on the machine that runs Terraform. What is there already is kept.
#   secrets.sh make DIR VARVE ADMIN               the authorities, passwords and keys
#   secrets.sh host DIR VARVE NAME NAME,...       certificates of a host, for these names, and what else it needs, in DIR/hosts/NAME
#   secrets.sh client DIR ADMIN BOOTSTRAP HTTP    files with which clients connect
#   secrets.sh forget DIR                         takes all of it away
set -eu
umask 077
what=$1 dir=$2
shift 2

die() {
	echo "secrets_dir: $*" >&2
	exit 1
}

# invent FILE [PREFIX]: a file with a random secret.
invent() {
	[ -s "$1" ] || printf '%s%s\n' "${2:-}" "$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')" >"$1"
}

# certify AUTHORITY NAME HOSTS TO: a certificate and its key, as TO.crt and TO.key.
certify() {
	"$varve" cert create-agent "$2" --dir "$dir/$1" --host "$3" --replace >/dev/null
	mv "$dir/$1/$2.crt" "$4.crt"
	mv "$dir/$1/$2.key" "$4.key"
}

# take FILE TO: a copy, if there is such a file.
take() {
	[ -z "$1" ] || cp "$1" "$2"
}

case $what in
make)
	varve=$1 admin=$2
	command -v "$varve" >/dev/null || die "$varve is missing: varve_binary names the program on this machine"
	mkdir -p "$dir"
	chmod 700 "$dir"
	for authority in cluster services; do
		[ -s "$dir/$authority/ca.crt" ] || "$varve" cert create-ca --dir "$dir/$authority" --name "Varve $authority" >/dev/null
	done
	invent "$dir/first-user" "$admin:"
	invent "$dir/access-key"
	invent "$dir/secret-key"
	echo one >"$dir/leaving"
	;;
host)
	varve=$1 name=$2 hosts=$3
	host=$dir/hosts/$name
	rm -rf "$host"
	mkdir -p "$host/etcd" "$host/minio" "$host/agent"
	certify services "$name" "$hosts" "$host/etcd/service"
	cp "$dir/services/ca.crt" "$host/etcd/services-ca.crt"
	cp "$host"/etcd/* "$dir/access-key" "$dir/secret-key" "$host/minio"
	cp "$host"/minio/* "$dir/cluster/ca.crt" "$dir/first-user" "$host/agent"
	certify cluster "$name" "$hosts" "$host/agent/agent"
	take "${GIVEN_ETCD_CA:-}" "$host/agent/etcd-ca.crt"
	take "${GIVEN_ETCD_CERT:-}" "$host/agent/etcd.crt"
	take "${GIVEN_ETCD_KEY:-}" "$host/agent/etcd.key"
	take "${GIVEN_ACCESS_KEY:-}" "$host/agent/access-key"
	take "${GIVEN_SECRET_KEY:-}" "$host/agent/secret-key"
	take "${GIVEN_STORE_CA:-}" "$host/agent/store-ca.crt"
	;;
client)
	admin=$1 bootstrap=$2 http=$3
	password=$(sed 's/^[^:]*://' "$dir/first-user")
	ca=$dir/cluster/ca.crt
	cat >"$dir/profile.yaml" <<E
current: cluster
profiles:
  - name: cluster
    brokers: [$(echo "$bootstrap" | sed 's/\([^,]*\)/"\1"/g')]
    http: "$http"
    sasl: SCRAM-SHA-512
    user: "$admin"
    password: "$password"
    tls_ca: "$ca"
E
	cat >"$dir/client.properties" <<E
bootstrap.servers=$bootstrap
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="$admin" password="$password";
ssl.truststore.type=PEM
ssl.truststore.location=$ca
E
	cat >"$dir/kcat.conf" <<E
bootstrap.servers=$bootstrap
security.protocol=SASL_SSL
sasl.mechanisms=SCRAM-SHA-512
sasl.username=$admin
sasl.password=$password
ssl.ca.location=$ca
E
	;;
forget)
	rm -rf "$dir/cluster" "$dir/services" "$dir/hosts"
	rm -f "$dir/first-user" "$dir/access-key" "$dir/secret-key" "$dir/leaving" "$dir/profile.yaml" "$dir/client.properties" "$dir/kcat.conf"
	rmdir "$dir" 2>/dev/null || true
	;;
*) die "$what: make, host, client or forget" ;;
esac
