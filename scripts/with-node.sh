#!/usr/bin/env bash
# Runs a command under another version of Node.js, taken from the npm package `node`.
#
#   scripts/with-node.sh 20.19.0 npm test
#   scripts/with-node.sh 24 npx vitest run test/state
set -euo pipefail

if (($# < 2)); then
  echo "usage: $0 <node version> <command> [arguments…]" >&2
  exit 2
fi
version=$1
shift

# First in PATH, so that npm, npx and every child process run under it too.
folder=$(npx --yes --package="node@$version" -c "node -p 'path.dirname(process.execPath)'")
PATH="$folder:$PATH" exec "$@"
