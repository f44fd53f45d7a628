#!/bin/sh
# Makes the certificates of this folder anew. They are of no machine, and the authorities' keys are thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for ca in ca other_ca; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=test $ca" \
		-keyout "$work/$ca.key" -out "$ca.pem" -addext keyUsage=critical,keyCertSign
done
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
	-keyout server.key -out "$work/server.csr"
cat >"$work/ca.conf" <<EOF
[ca]
default_ca = test
[test]
database = $work/index
serial = $work/serial
new_certs_dir = $work
certificate = ca.pem
private_key = $work/ca.key
default_md = sha256
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
subjectAltName = DNS:localhost
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
EOF
sign() {
	: >"$work/index"
	openssl ca -batch -notext -config "$work/ca.conf" -rand_serial -in "$work/server.csr" \
		-startdate 20200101000000Z -enddate "$1" -out "$2"
}
sign 21250101000000Z server.pem
sign 20210101000000Z expired.pem
