#!/bin/bash
# The image's first stage: in a checkout, on a system with Swift, makes .build/martlet.deb.
set -euo pipefail
cd "$(dirname "$0")/../.."
needed=(make git dpkg-dev binutils python3)
if ! dpkg-query -W "${needed[@]}" >/dev/null 2>&1; then
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${needed[@]}"
fi
make deb
