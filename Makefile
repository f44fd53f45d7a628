# make         build everything
# make demo    the whole story in one transcript, on a provider and a sshd of its own
# make test    every tier of tests; what CI runs
# make bench   name lookups beside sssd's and others', as a table; [USERS="10000 100000"] [ONLY="name-hit id"] [MODULE=file.so]
# make sanitize the NSS module under sanitizers and Miri; needs a nightly compiler
# make reproducible  builds the packages twice, in two directories, and compares the bytes
# make install DESTDIR=...  install into DESTDIR

CARGO ?= cargo
MULTIARCH := $(shell dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch 2>/dev/null)
PREFIX ?= /usr
LIBDIR ?= $(PREFIX)/lib$(if $(MULTIARCH),/$(MULTIARCH),64)
# The directory that libpam searches is the one that holds pam_permit.so.
PAMDIR ?= $(LIBDIR)/security
SYSCONFDIR ?= /etc
TARGET ?= target/release
BASH_COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/vendor-completions
FISH_COMPLETIONS ?= $(PREFIX)/share/fish/vendor_completions.d
DESTDIR ?=
# Who looks after the PAM stack: pam-auth-update (pam-configs) or authselect.
STACK ?= $(if $(wildcard /usr/bin/authselect),authselect,pam-configs)
# A package build strips by itself, and keeps what it took away.
STRIP ?= -s

.PHONY: all build demo demo-shell test check unit sanitize setup bench install install-pam-configs install-authselect deb reproducible rpm rpm-archive rpm-sources clean

all: build

# The NSS module by itself: built together, features would be united, and it would carry SQLite. The other two together: by
# themselves they would ask for the log crate with other features, and each build of one would undo that of the other.
# cargo leaves link-time optimisation out where a crate is also built as an rlib, so the NSS module, which every process
# loads, is built as a cdylib alone, for size; the reader in `shared` for speed.
NSS_PROFILE = --config 'profile.release.lto="fat"' --config 'profile.release.opt-level="s"' \
	--config 'profile.release.package.shared.opt-level=2'

# Where it was built has no business in it: the same sources give the same bytes in every directory (make reproducible).
CARGO_HOME ?= $(HOME)/.cargo
CARGO_TARGET_DIR ?= $(CURDIR)/target
BUILT_IN = $(CURDIR)=. $(CARGO_TARGET_DIR)=./target $(CARGO_HOME)=cargo
comma := ,
empty :=
MAPPED = --config 'build.rustflags=[$(subst $(empty) ,$(comma),$(BUILT_IN:%="--remap-path-prefix=%"))]'

# For the C of the cryptography and of SQLite; the same in every build, so that a package build builds nothing twice.
build: export CFLAGS := -O2 -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 $(BUILT_IN:%=-ffile-prefix-map=%)
build: export CXXFLAGS := $(CFLAGS)
build:
	$(CARGO) rustc --release --locked -p nss_oauth2 --crate-type cdylib $(NSS_PROFILE) $(MAPPED)
	$(CARGO) build --release --locked -p pam_oauth2 -p oauth2ctl $(MAPPED)

setup:
	tests/setup

demo: setup build
	tests/demo

demo-shell: setup build
	tests/demo --shell

bench: setup build
	bench/nss/run $(if $(USERS),--users "$(USERS)") $(if $(ONLY),--only "$(ONLY)") $(if $(MODULE),--module "$(MODULE)")

# Formatting, lints, licences, and what the built modules contain.
check: build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked -p nss_oauth2 --all-targets -- -D warnings
	$(CARGO) clippy --locked -p shared -p pam_oauth2 -p oauth2ctl --all-targets -- -D warnings
	tests/check-modules $(TARGET)

unit:
	$(CARGO) test --locked -p nss_oauth2
	$(CARGO) test --locked -p shared -p pam_oauth2 -p oauth2ctl

test: setup check unit deb rpm
	tests/abi/run
	tests/run

# Not part of `test`: it needs a nightly compiler (docs/not-run.md).
sanitize:
	tests/sanitizers/run

# The manual pages of oauth2ctl and the completions are made by the program that is installed.
# The modules are put in place by rename: a half-written one would kill every program that uses PAM or NSS.
install: install-$(STACK)
	install -d $(DESTDIR)$(PAMDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(PREFIX)/sbin
	install -d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install -d $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 0644 $(STRIP) $(TARGET)/libpam_oauth2.so $(DESTDIR)$(PAMDIR)/.pam_oauth2_device.so.new
	mv -f $(DESTDIR)$(PAMDIR)/.pam_oauth2_device.so.new $(DESTDIR)$(PAMDIR)/pam_oauth2_device.so
	ln -sfn pam_oauth2_device.so $(DESTDIR)$(PAMDIR)/pam_oauth2.so
	install -m 0644 $(STRIP) $(TARGET)/libnss_oauth2.so $(DESTDIR)$(LIBDIR)/.libnss_oauth2.so.2.new
	mv -f $(DESTDIR)$(LIBDIR)/.libnss_oauth2.so.2.new $(DESTDIR)$(LIBDIR)/libnss_oauth2.so.2
	install -m 0755 $(STRIP) $(TARGET)/oauth2ctl $(DESTDIR)$(PREFIX)/sbin/oauth2ctl
	install -m 0644 debian/pam-oauth2.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/pam-oauth2.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 0644 systemd/oauth2-user-sweep.service systemd/oauth2-user-sweep.timer \
		systemd/oauth2-setup-roll-back.service $(DESTDIR)$(PREFIX)/lib/systemd/system/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system/multi-user.target.wants
	ln -sfn ../oauth2-setup-roll-back.service $(DESTDIR)$(PREFIX)/lib/systemd/system/multi-user.target.wants/
	install -d $(DESTDIR)$(PREFIX)/share/oauth2 $(DESTDIR)$(PREFIX)/share/doc/pam-oauth2/examples
	install -m 0755 nss_oauth2/nsswitch/nsswitch-edit $(DESTDIR)$(PREFIX)/share/oauth2/
	install -m 0644 nss_oauth2/nsswitch/nsswitch.awk $(DESTDIR)$(PREFIX)/share/oauth2/
	install -m 0644 examples/*.json $(DESTDIR)$(PREFIX)/share/doc/pam-oauth2/examples/
	install -d $(DESTDIR)$(SYSCONFDIR)/fail2ban/filter.d
	install -m 0644 pam_oauth2/fail2ban/pam-oauth2.conf $(DESTDIR)$(SYSCONFDIR)/fail2ban/filter.d/
	install -d $(DESTDIR)$(SYSCONFDIR)/logrotate.d
	install -m 0644 pam_oauth2/logrotate/pam-oauth2 $(DESTDIR)$(SYSCONFDIR)/logrotate.d/
	install -m 0644 man/config.json.5 $(DESTDIR)$(PREFIX)/share/man/man5/pam_oauth2_device.json.5
	install -m 0644 man/pam_oauth2_device.8 man/nss_oauth2.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	$(TARGET)/oauth2ctl --quiet man $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(DESTDIR)$(BASH_COMPLETIONS) $(DESTDIR)$(ZSH_COMPLETIONS) $(DESTDIR)$(FISH_COMPLETIONS)
	$(TARGET)/oauth2ctl completion bash > $(DESTDIR)$(BASH_COMPLETIONS)/oauth2ctl
	$(TARGET)/oauth2ctl completion zsh > $(DESTDIR)$(ZSH_COMPLETIONS)/_oauth2ctl
	$(TARGET)/oauth2ctl completion fish > $(DESTDIR)$(FISH_COMPLETIONS)/oauth2ctl.fish
	chmod 0644 $(DESTDIR)$(BASH_COMPLETIONS)/oauth2ctl $(DESTDIR)$(ZSH_COMPLETIONS)/_oauth2ctl \
		$(DESTDIR)$(FISH_COMPLETIONS)/oauth2ctl.fish

# What belongs to Debian and Ubuntu: profiles of pam-auth-update, and AppArmor.
install-pam-configs:
	install -d $(DESTDIR)$(PREFIX)/share/pam-configs $(DESTDIR)$(SYSCONFDIR)/apparmor.d/abstractions/nameservice.d
	install -m 0644 debian/pam-configs/oauth2 debian/pam-configs/oauth2-local $(DESTDIR)$(PREFIX)/share/pam-configs/
	install -m 0644 nss_oauth2/apparmor/oauth2 $(DESTDIR)$(SYSCONFDIR)/apparmor.d/abstractions/nameservice.d/

# What belongs to Enterprise Linux and Fedora: a vendor profile of authselect, which nothing selects.
install-authselect:
	install -d $(DESTDIR)$(PREFIX)/share/authselect/vendor/oauth2
	install -m 0644 rpm/authselect/* $(DESTDIR)$(PREFIX)/share/authselect/vendor/oauth2/

# Debian packages, for the release this runs on and later ones, into dist/.
deb:
	debian/rules clean
	rm -rf dist
	mkdir dist
	debian/rules binary

# RPM packages, into dist/, of what `make build` has made. Built on Debian too, whose package database knows nothing of the
# names in BuildRequires, and whose sh cannot run all of rpm's scripts. RPM_DIST is the end of the release (.el9).
RPM_VERSION := $(shell sed -n 's/^Version: *//p' rpm/pam-oauth2.spec)
RPM_TREE ?= $(CURDIR)/target/rpm
RPM_OUT ?= $(CURDIR)/dist
RPM_BUILD = rpmbuild --quiet --nodeps --define '_topdir $(RPM_TREE)' --define '_sourcedir $(RPM_TREE)' \
	--define '_rpmdir $(RPM_TREE)/made' --define '_srcrpmdir $(RPM_OUT)' --define '_libdir /usr/lib64' \
	--define 'source_date_epoch_from_changelog 1' --define 'use_source_date_epoch_as_buildtime 1' \
	--define 'clamp_mtime_to_source_date_epoch 1' --define '_buildhost localhost' \
	--define '__os_install_post %{nil}' $(if $(RPM_DIST),--define 'dist $(RPM_DIST)')
rpm: build rpm-archive
	rm -rf $(RPM_OUT)/*.rpm $(RPM_TREE)/made
	$(RPM_BUILD) -bb --define 'built $(abspath $(TARGET))' rpm/pam-oauth2.spec
	mkdir -p $(RPM_OUT)
	mv $(RPM_TREE)/made/*/*.rpm $(RPM_OUT)/

rpm-archive:
	mkdir -p $(RPM_TREE)
	tar --create --gzip --file=$(RPM_TREE)/pam-oauth2-$(RPM_VERSION).tar.gz --transform='s,^\.,pam-oauth2-$(RPM_VERSION),' \
		--sort=name --owner=0 --group=0 --numeric-owner --exclude-vcs --exclude=./target --exclude=./dist \
		--exclude=./debian/.debhelper --exclude=./debian/tmp --exclude=./debian/libpam-oauth2 \
		--exclude=./debian/libnss-oauth2 --exclude=./debian/oauth2ctl --exclude=./fuzz/target --exclude=node_modules --exclude=__pycache__ --exclude=.pytest_cache .

# A source package that builds without a network, for mock or a build service: with every crate in it.
rpm-sources: rpm-archive
	rm -rf $(RPM_TREE)/crates
	mkdir -p $(RPM_TREE)/crates $(RPM_OUT)
	$(CARGO) vendor --locked --quiet $(RPM_TREE)/crates/vendor >/dev/null
	tar --create --gzip --file=$(RPM_TREE)/pam-oauth2-$(RPM_VERSION)-vendor.tar.gz --sort=name --owner=0 --group=0 \
		--numeric-owner --directory=$(RPM_TREE)/crates vendor
	$(RPM_BUILD) -bs rpm/pam-oauth2.spec

# Two builds of the packages in two directories give the same bytes. No part of `make test`: as long as two whole builds.
reproducible:
	tests/reproducible

clean:
	$(CARGO) clean
