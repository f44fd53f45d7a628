#!/bin/sh
# Makes the certificates of the test provider: make-certs.sh DIR HOST
#
#   DIR/ca.pem          what a client is told to trust
#   DIR/server.{pem,key}   for HOST, localhost and 127.0.0.1, signed by it
#   DIR/unknown-ca.pem, DIR/unknown.{pem,key}   the same from an authority nobody trusts
#   DIR/elsewhere.{pem,key}   the same for another host
#   DIR/expired.{pem,key}     the same, over since 2020
#
# Each of the bad ones differs from the good one in one thing alone, so a client that refuses it
# refuses it because of that and for no other reason.
set -eu
dir=$1
host=$2
umask 077
mkdir -p "$dir"

cat > "$dir/openssl.cnf" <<CONFIG
[req]
distinguished_name = name
prompt = no
[name]
CN = placeholder
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:$host,DNS:localhost,IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[elsewhere]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:elsewhere.test
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[past]
database = $dir/books/issued
new_certs_dir = $dir/books
default_md = sha256
policy = any
rand_serial = yes
[any]
commonName = supplied
CONFIG

new_key() {
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2> /dev/null ||
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

authority() { # file stem, common name
    new_key "$dir/$1.key"
    openssl req -new -x509 -config "$dir/openssl.cnf" -extensions authority -days 30 \
        -key "$dir/$1.key" -subj "/CN=$2" -out "$dir/$1.pem"
}

request() { # file stem
    new_key "$dir/$1.key"
    openssl req -new -config "$dir/openssl.cnf" -key "$dir/$1.key" -subj "/CN=$host" -out "$dir/$1.csr"
}

server() { # file stem, stem of the authority, section of extensions
    request "$1"
    openssl x509 -req -in "$dir/$1.csr" -CA "$dir/$2.pem" -CAkey "$dir/$2.key" \
        -set_serial "0x$(openssl rand -hex 8)" -days 30 \
        -extfile "$dir/openssl.cnf" -extensions "${3-server}" -out "$dir/$1.pem" 2> /dev/null
    rm "$dir/$1.csr"
}

# openssl x509 of Debian 12 knows no end in the past; openssl ca does, and keeps books for it.
expired() { # file stem, stem of the authority
    request "$1"
    mkdir "$dir/books"
    : > "$dir/books/issued"
    openssl ca -batch -notext -config "$dir/openssl.cnf" -name past -cert "$dir/$2.pem" -keyfile "$dir/$2.key" \
        -startdate 20200101000000Z -enddate 20200131000000Z \
        -extfile "$dir/openssl.cnf" -extensions server -in "$dir/$1.csr" -out "$dir/$1.pem" 2> /dev/null
    rm -r "$dir/$1.csr" "$dir/books"
}

authority ca "Test identity provider CA"
server server ca
authority unknown-ca "Authority nobody trusts"
server unknown unknown-ca
server elsewhere ca elsewhere
expired expired ca
rm "$dir/openssl.cnf"
# Modules that drop root read the CA; the keys stay private.
chmod 755 "$dir"
chmod 644 "$dir/ca.pem" "$dir/unknown-ca.pem"
