# shellcheck shell=bash
# shellcheck disable=SC2034
# Sourced by packaging/image/build and tests/acceptance/image.sh: run_podman calls podman so that it also works where systemd is not
# running (in a sandbox, a chroot, a CI machine), whose defaults assume a systemd session and a raisable descriptor limit.

podman_options=()
podman_run_options=()
if [ ! -d /run/systemd/system ]; then
  podman_options=(--cgroup-manager cgroupfs --events-backend file)
  # crun insists on a cgroup set-up that such machines lack.
  if command -v runc >/dev/null; then podman_options+=(--runtime runc); fi
  # podman asks for more descriptors than the machine's hard limit and fails; ask for what there is.
  podman_run_options=(--ulimit "nofile=1024:$(ulimit -Hn)" --ulimit "nproc=4096:4096")
fi

run_podman() { podman "${podman_options[@]}" "$@"; }
