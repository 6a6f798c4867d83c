#!/bin/bash
# The image's second stage: on a bare Debian 12, installs the package and a user to run it.
# Usage: run.sh PACKAGE.deb
set -euo pipefail
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$1"
rm -rf /var/lib/apt/lists/*
useradd --create-home --uid 1000 martlet
install -d -o martlet -g martlet /work
runuser -u martlet -- train --version
